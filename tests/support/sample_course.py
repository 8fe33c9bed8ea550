"""Three sample texts with findings, written out as the real system would."""

from contracts.findings import Finding, Fix, Severity
from tests.support.scripted_task import ScriptedTask, write_in_turn

TEXTS = (
    (
        "학교 옥상의 온도를 2주 동안 하루 세 번 재는 탐구를 계획하고 실행함. 초기 측정값이 고르지 않자 재는 "
        "높이와 시각이 달랐음을 찾아내어 조건을 통일하고 다시 측정함. 그늘막이 있는 곳과 없는 곳을 나누어 "
        "비교하였으며, 오후 두 시의 차이가 가장 크다는 점을 표와 꺾은선그래프로 정리함. 유튜브에서 열섬 "
        "현상에 관한 자료를 찾아 자신의 측정 결과와 견주어 보고, 바닥 재질에 따라 값이 달라질 수 있다는 "
        "한계를 스스로 밝힘. 결과를 바탕으로 옥상 바닥의 밝기를 바꾸면 온도가 어떻게 달라질지 새로운 질문을 "
        "세우고, 검은 판과 흰 판을 나란히 두는 후속 실험을 설계하여 제안함. 측정 오차를 줄이는 방법을 묻는 "
        "친구의 질문에 반복 측정한 평균값을 제시하며 답함. 변인을 통제하고 근거에 따라 결론을 이끌어 내는 "
        "태도가 돋보임."
    ),
    (
        "모둠 탐구에서 기록을 맡아 하루 세 번의 측정값을 빠짐없이 표로 남기고, 모둠원이 언제든 확인할 수 "
        "있도록 공유 문서로 정리함. 값이 들쭉날쭉하여 의견이 갈리자 측정 조건을 함께 점검하자고 제안하고, "
        "서로 다른 의견을 칠판에 나누어 적으며 토의를 이끎. 그늘막이 있는 곳도 비교하자는 친구의 의견을 "
        "받아들여 측정 장소를 넓히고 역할을 다시 나눔. 발표에서는 그래프를 가리키며 열섬 현상을 쉬운 말로 "
        "풀어 설명하였고, 예상하지 못한 질문에도 모둠원과 눈을 맞추며 답을 보태어 감. 발표를 마친 뒤 다른 "
        "모둠의 측정 방법에서 배울 점을 찾아 모둠 일지에 적고 함께 나눔. 각자의 의견이 결과에 어떻게 "
        "반영되었는지 정리하여 보여 줌으로써 모둠원의 참여를 이끌어 냄."
    ),
    (
        "처음 잰 온도가 날마다 크게 달라 당황하였으나 까닭을 찾으려 측정 과정을 하나씩 되짚어 봄. 재는 "
        "높이와 시각을 정하지 않았음을 깨닫고 기준을 세워 다시 측정하였으며, 두 번째 주에는 값의 차이가 눈에 "
        "띄게 줄어든 것을 그래프로 확인함. 탐구 초기에는 결과를 빨리 얻으려 하였으나 점차 측정 조건을 먼저 "
        "적고 시작하는 습관을 보임. 발표를 준비하며 항상 수치만 나열하던 방식을 바꾸어 그래프의 변화를 "
        "이야기로 풀어 설명하고, 친구들의 질문에 근거를 들어 답함. 탐구를 마친 뒤 처음의 실패가 오히려 변인 "
        "통제의 필요성을 알게 한 계기가 되었다고 적으며, 다음 탐구의 계획서에 측정 기준을 첫 항목으로 둠. "
        "시행착오를 탐구의 자료로 바꾸어 가는 성장의 과정이 뚜렷함."
    ),
)


def find_in(text: str, matched: str, **facts: object) -> Finding:
    """Return the finding of the first place where a text holds `matched`."""
    start = text.index(matched)
    return Finding.model_validate({"matched": matched, "start": start, "end": start + len(matched), **facts})


FINDINGS: dict[int, tuple[Finding, ...]] = {
    1: (
        find_in(
            TEXTS[0],
            "유튜브",
            rule_id="names",
            category="상호명",
            severity=Severity.REVIEW,
            reason="특정 상호명은 쓰지 않고 일반적인 말로 바꿉니다.",
            clause="3-타",
            fix=Fix.REPLACE,
            suggestions=("동영상 플랫폼",),
            dismissible=True,
        ),
    ),
    3: (
        find_in(
            TEXTS[2],
            "항상",
            rule_id="superlative",
            category="과장",
            severity=Severity.STYLE,
            reason="늘 그랬다고 단정하는 말입니다. 본 것만 적으면 더 믿음이 갑니다.",
            clause="",
            fix=Fix.NONE,
            suggestions=(),
            dismissible=True,
        ),
    ),
}


async def write_sample(task: ScriptedTask, pause_seconds: float = 0.1) -> None:
    """Write the three sample texts to the end."""
    await write_in_turn(task, TEXTS, FINDINGS, pause_seconds=pause_seconds)
