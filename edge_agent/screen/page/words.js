// The catalogues: language → key → words, with {number} and {name} to fill in.

const catalogues = await (await fetch(location.pathname === "/" ? "/catalogues/child.json" : "/catalogues.json")).json();

export const LANGUAGES = Object.keys(catalogues);

export function translate(language, key, values = {}) {
  const words = catalogues[language]?.[key] ?? key;
  return words.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

export function hasWords(language, key) {
  return key in (catalogues[language] ?? {});
}
