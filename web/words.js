// Every sentence that the page says.

import { agreeParticle } from "./findings.js";

export const LEVELS = { middle: "중학교", high: "고등학교" };

export const ITEMS = {
  subject: "과목별 세부능력 및 특기사항",
  behavior: "행동특성 및 종합의견",
  autonomy: "자율·자치활동",
  club: "동아리활동",
  career: "진로활동",
  individual: "개인별 세부능력 및 특기사항",
  volunteer: "봉사활동 실적",
};

/** As teachers call them, where there is little room. */
export const SHORT_ITEMS = {
  subject: "과목별 세특",
  behavior: "행동특성",
  autonomy: "자율·자치",
  club: "동아리",
  career: "진로",
  individual: "개인별 세특",
  volunteer: "봉사",
};

export const PHASES = { drafting: "초안 작성", checking: "금지어 점검", fitting: "분량 맞춤" };

export const STAGES = {
  queued: "차례 대기",
  running: "쓰는 중",
  cancelling: "멈추는 중",
  succeeded: "다 씀",
  failed: "쓰지 못함",
  cancelled: "멈춤",
  expired: "시간이 지남",
};

export const DEGRADED = "일부만 씀";
export const OVERDUE = "늦어짐";

/** Why a version or a task failed. */
export const REASONS = {
  rate_limited: "글을 쓰는 모델에 요청이 너무 몰려 쓰지 못했습니다. 몇 분 뒤에 다시 만들어 주세요.",
  quota_exhausted: "이번에 쓸 수 있는 모델 사용량을 다 썼습니다. 학교의 담당자에게 알려 주세요.",
  overloaded: "글을 쓰는 모델이 붐벼 답하지 못했습니다. 몇 분 뒤에 다시 만들어 주세요.",
  timeout: "글을 쓰는 모델이 제때 답하지 않았습니다. 다시 만들어 주세요.",
  truncated: "글이 쓰이다가 중간에 끊겼습니다. 다시 만들어 주세요.",
  length: "모델이 글을 끝맺지 못하고 길이 제한에 걸렸습니다. 메모를 조금 줄여 다시 만들어 주세요.",
  refused: "글을 쓰는 모델이 이 메모로는 쓸 수 없다고 답했습니다. 메모의 표현을 바꾸어 보세요.",
  filtered: "글을 쓰는 모델의 안전 기준에 걸려 글이 막혔습니다. 메모의 표현을 바꾸어 보세요.",
  protocol: "글을 쓰는 모델의 답을 읽을 수 없었습니다. 다시 만들어 주세요.",
  unauthorised: "글을 쓰는 모델에 접속할 권한이 없습니다. 학교의 담당자에게 알려 주세요.",
  invalid_request: "글을 쓰는 모델이 요청을 받아들이지 않았습니다. 학교의 담당자에게 알려 주세요.",
  forbidden_content: "생활기록부에 쓸 수 없는 내용이 끝까지 남아 이 글을 내지 않았습니다. 메모에서 그 내용을 빼고 다시 만들어 주세요.",
  too_long: "문장을 자르지 않고서는 분량에 맞출 수 없었습니다. 메모를 줄여 다시 만들어 주세요.",
  budget_exhausted: "이 글에 쓸 수 있는 횟수를 모두 썼지만 마치지 못했습니다. 메모를 다듬어 다시 만들어 주세요.",
  deadline: "정해진 시간 안에 글을 마치지 못했습니다. 다시 만들어 주세요.",
  worker_crashed: "글을 쓰던 중에 서버에 문제가 생겼습니다. 다시 만들어 주세요.",
  malformed_command: "요청을 읽을 수 없었습니다. 다시 만들어 주세요.",
  internal: "서버에 문제가 생겨 글을 쓰지 못했습니다. 다시 만들어 주세요.",
};

/** Why work is held up, as a clause that goes before “기다리고 있습니다”. */
export const WAITS = {
  rate_limited: "모델에 요청이 몰려",
  quota_exhausted: "모델 사용량이 다 차서",
  overloaded: "모델이 붐벼",
  timeout: "모델의 답이 늦어",
  truncated: "글이 끊겨 다시 쓰려고",
  length: "글이 길어져 다시 쓰려고",
  refused: "모델이 거절하여 다시 물으려고",
  filtered: "안전 기준에 걸려 다시 쓰려고",
  protocol: "모델의 답을 읽을 수 없어",
  unauthorised: "모델의 접속 권한을 확인하느라",
  invalid_request: "모델이 요청을 받지 않아",
  forbidden_content: "쓸 수 없는 표현을 고치려고",
  too_long: "분량을 맞추려고",
  budget_exhausted: "쓸 수 있는 횟수가 다 되어",
  deadline: "시간이 지나",
  worker_crashed: "서버가 다시 시작되어",
  malformed_command: "요청을 다시 읽느라",
  internal: "서버에 문제가 생겨",
};

export const SEVERITIES = { block: "쓸 수 없음", review: "확인 필요", style: "표현" };

/** How sure a limit is; nothing is said of what is sure. */
export const CONFIDENCES = {
  A: "",
  B: "한 곳의 자료로만 확인한 분량입니다. 학교의 기재요령과 맞추어 보세요.",
  C: "확실하지 않은 분량입니다. 반드시 학교의 기재요령을 확인하세요.",
};

export const CONNECTIONS = {
  connecting: "연결하는 중",
  live: "연결됨",
  reconnecting: "다시 연결하는 중 · 쓰던 글은 서버에서 계속됩니다",
  overloaded: "서버가 붐벼 잠시 뒤 다시 연결합니다 · 쓰던 글은 계속됩니다",
  offline: "인터넷이 끊겼습니다 · 돌아오면 이어서 보여 드립니다",
  idle: "쉬는 중",
};

export const PROBLEMS = {
  400: "입력한 내용을 서버가 읽지 못했습니다. 항목과 메모를 다시 확인해 주세요.",
  401: "로그인이 풀렸습니다. 페이지를 새로 고쳐 주세요.",
  403: "이 작업을 할 권한이 없습니다.",
  409: "같은 요청이 다른 내용으로 이미 보내졌습니다. 다시 한 번 눌러 주세요.",
  413: "메모가 너무 깁니다. 나누어서 만들어 주세요.",
  422: "입력한 내용을 서버가 받아들이지 않았습니다. 항목과 메모를 다시 확인해 주세요.",
  429: "짧은 시간에 너무 많이 보냈습니다. 잠시 뒤에 다시 눌러 주세요.",
  503: "서버가 지금 받지 못합니다. 잠시 뒤에 다시 눌러 주세요. 메모는 그대로 있습니다.",
  0: "서버에 닿지 못했습니다. 인터넷을 확인하고 다시 눌러 주세요. 메모는 그대로 있습니다.",
};
export const OTHER_PROBLEM = "서버에 문제가 있어 보내지 못했습니다. 잠시 뒤에 다시 눌러 주세요. 메모는 그대로 있습니다.";

export const SAMPLE_NOTES = [
  "과학 시간에 우리 학교 옥상의 온도를 2주 동안 하루 세 번 재어 봄.",
  "처음에는 값이 들쭉날쭉해서 당황했지만 재는 높이와 시각을 정해 두고 다시 잼.",
  "모둠에서 기록을 맡아 표와 그래프로 정리하고, 친구의 의견을 받아 그늘막이 있는 곳도 함께 비교함.",
  "유튜브에서 열섬 현상 자료를 찾아 발표에서 설명했고 친구들의 질문에 그래프를 보여 주며 답함.",
].join("\n");

export const CANCEL = "멈추기";
export const CANCEL_UNKNOWN = "이 요청은 접수되지 않아 멈출 것이 없습니다. 메모로 다시 만들어 주세요.";
export const CANCEL_FAILED = "멈추라는 요청을 보내지 못했습니다. 다시 눌러 주세요.";
export const COPY = "복사";
export const COPIED = "복사했습니다. 붙여 넣은 뒤에도 한 번 더 읽어 주세요.";
export const COPY_FAILED = "복사하지 못했습니다. 글을 직접 선택해 복사해 주세요.";
export const REVERT = "원래 초안으로";
export const DISMISS = "괜찮음";
export const CLEARED = "이 브라우저에 남아 있던 메모와 고친 글을 지웠습니다.";
export const EDITED = "고침";
export const NOT_CHECKED_AGAIN = "고친 부분은 금지어 점검을 다시 거치지 않았습니다.";
export const KEPT_TEXT = "여기까지 쓰인 글은 남겨 두었습니다.";
export const NOTHING_YET = "곧 이 자리에 글이 쓰입니다.";
export const NOTHING_WRITTEN = "쓰인 글이 없습니다.";
export const VERSION_STOPPED = "쓰다가 멈춘 글입니다.";
export const AGAIN = "이 메모로 다시 만들기";
export const SENDING = "보내는 중…";
export const SUBMIT = "초안 세 가지 만들기";
export const CATALOGUE_FAILED = "항목을 불러오지 못했습니다. 다시 시도하는 중입니다.";
export const UNNAMED = "이름 없는 초안";
export const GAP = "끊긴 동안의 기록이 사라져 지금 상태부터 다시 보여 드립니다.";

export const WARNINGS = {
  unedited:
    "아직 한 글자도 고치지 않은 글입니다. 기재요령(5-다)은 인공지능이 쓴 글을 그대로 입력하는 것을 허용하지 않습니다.",
  over: "분량을 넘은 글입니다. 나이스에 그대로 들어가지 않습니다.",
  block: "생활기록부에 쓸 수 없는 표현이 남아 있습니다.",
};

export const ENDINGS = {
  degraded: (done, all) => `${all}가지 가운데 ${done}가지를 썼습니다. 쓰지 못한 글에는 까닭을 적어 두었습니다.`,
  cancelled: "멈추었습니다. 그때까지 마친 글은 남아 있습니다.",
  cancelledEarly: "쓰기 시작하기 전에 멈추었습니다.",
  expired: "정해진 시간 안에 마치지 못했습니다. 마친 글은 남아 있습니다. 같은 메모로 다시 만들 수 있습니다.",
  expiredEarly: "차례가 오기 전에 시간이 지났습니다. 같은 메모로 다시 만들어 주세요.",
};

export const OVERDUE_START = "시작할 시간이 지났는데 아직 시작하지 못했습니다. 차례가 오면 이어지고, 멈추고 다시 만들 수도 있습니다.";
export const OVERDUE_END = "마칠 시간이 지났는데 끝났다는 소식이 없습니다. 조금 더 기다리거나 멈추고 다시 만들어 주세요.";

const CLOCK = new Intl.DateTimeFormat("ko-KR", { hour: "numeric", minute: "2-digit" });
const NUMBER = new Intl.NumberFormat("ko-KR");

export const sayTime = (instant) => (instant ? CLOCK.format(new Date(instant)) : "");
export const sayNumber = (number) => NUMBER.format(number);
export const sayBytes = (size, limit) => `${sayNumber(size)} / ${sayNumber(limit)}바이트`;
export const sayNotesCount = (count, limit) => `${sayNumber(count)} / ${sayNumber(limit)}자`;
export const sayNear = (left) => `${sayNumber(left)}바이트 남음`;
export const sayOver = (more) => `${sayNumber(more)}바이트 넘음`;
export const sayLimit = ({ characters, bytes }) => `${sayNumber(characters)}자 · ${sayNumber(bytes)}바이트까지`;
export const sayWait = (reason, seconds) =>
  `${WAITS[reason] ?? WAITS.internal} 기다리고 있습니다.${seconds > 0 ? ` 약 ${seconds}초 뒤에 이어집니다.` : ""}`;
export const sayRetry = (seconds, tried, most) =>
  `서버가 붐빕니다. ${seconds}초 뒤에 같은 요청을 다시 보냅니다 (${tried}/${most}). 같은 글이 두 번 만들어지지 않습니다.`;
export const sayReplace = (suggestion) => `‘${suggestion}’${agreeParticle(suggestion, "로")} 바꾸기`;
export const sayClause = (clause) => (/^\d/.test(clause) ? `기재요령 ${clause}` : clause);
export const sayProgress = (done, all) => `${done}/${all}`;
export const sayRunning = (count) => (count ? `${count}개 쓰는 중` : "");
export const sayFindings = (count) => `살펴볼 표현 ${count}곳`;
export const sayPhase = (title, phase) => `${title}: ${PHASES[phase]} 중`;
export const sayDone = (title) => `${title}: 다 썼습니다.`;
export const sayFailed = (title) => `${title}: 쓰지 못했습니다.`;
export const sayTextOf = (title) => `${title} 글`;
export const sayVersion = (number) => `${number}번째 글`;
