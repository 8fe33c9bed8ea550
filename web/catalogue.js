// The catalogue: which items a school level has, how long their texts may be, and which viewpoints they are seen from.

import { ITEMS, LEVELS } from "./words.js";

/** Read the API's catalogue: {simulated, notesLimit, levels: [{level, title, items: [{item, title, limit, viewpoints}]}]}. */
export function readCatalogue(answer) {
  return {
    simulated: answer.simulated === true,
    notesLimit: answer.limits?.notes_characters ?? 20_000,
    levels: answer.levels.map(({ school_level: level, title, items }) => ({
      level,
      title: title ?? LEVELS[level] ?? level,
      items: items.map(({ item, title: itemTitle, limit, viewpoints = [] }) => ({
        item,
        title: itemTitle ?? ITEMS[item] ?? item,
        limit,
        viewpoints: viewpoints.map((viewpoint) => viewpoint.title),
      })),
    })),
  };
}
