// The catalogue: which items a school level has, how long their texts may be, and which viewpoints they are seen from.

import { ITEMS, LEVELS } from "./words.js";

/** Read the API's catalogue: {simulated, notesLimit, versionCount, levels: [{level, title, items}]}. */
export function readCatalogue(answer) {
  return {
    simulated: answer.simulated === true,
    notesLimit: answer.notes_characters,
    versionCount: answer.version_count,
    levels: answer.school_levels.map(({ school_level: level, title, items }) => ({
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
