"use strict";
// Everything on the site can be read without this: it says how old the data is, filters tables, and answers.

// --- The age of the data -------------------------------------------------------------------------------------------
const DAY = 86400000;
const days = (night) => Math.floor((Date.now() - Date.parse(`${night}T00:00:00Z`)) / DAY);
const ago = (number) => (number < 1 ? "today" : number === 1 ? "yesterday" : `${number} days ago`);
for (const time of document.querySelectorAll("footer time")) time.after(` (${ago(days(time.dateTime))})`);
const newest = globalThis.zero3Night; // from night.js
if (newest && days(newest) > 2) {
  const banner = document.getElementById("age");
  banner.textContent = `The newest data of this site is ${days(newest)} days old, of ${newest}: the nightly run may have stopped.`;
  banner.hidden = false;
}

// --- The address holds what a form says ----------------------------------------------------------------------------
const restore = (form) => {
  const asked = new URLSearchParams(location.search);
  for (const field of form.elements) if (field.name) field.value = asked.get(field.name) ?? field.dataset.initial ?? "";
};
const remember = (form) => {
  const told = new URLSearchParams();
  for (const field of form.elements) if (field.name && field.value) told.set(field.name, field.value);
  const query = told.toString();
  if (query !== location.search.slice(1)) history.pushState(null, "", `${location.pathname}${query && `?${query}`}`);
};
const live = (form, show) => {
  const again = () => { restore(form); show(); };
  form.hidden = false;
  form.addEventListener("submit", (event) => { event.preventDefault(); remember(form); show(); });
  form.addEventListener("change", () => { remember(form); show(); });
  addEventListener("popstate", again);
  again();
};

// --- Tables of architectures ---------------------------------------------------------------------------------------
const filter = document.getElementById("filter");
if (filter) {
  const rows = [...document.querySelectorAll(".lines .row")];
  const good = ["pass", "unsupported", "untested"];
  const matches = (row, { text, family, verdict }) => {
    const verdicts = row.dataset.verdicts.trim().split(" ");
    const right = verdict.value === "!pass" ? verdicts.some((one) => !good.includes(one)) : !verdict.value || verdicts.includes(verdict.value);
    return right && row.dataset.text.includes(text.value.trim().toLowerCase()) && (!family.value || row.dataset.family === family.value);
  };
  const show = () => {
    for (const row of rows) row.hidden = !matches(row, filter.elements);
    const shown = rows.filter((row) => !row.hidden).length;
    filter.querySelector("output").value = shown === rows.length ? "" : `${shown} of ${rows.length} architectures`;
  };
  live(filter, show);
  filter.elements.text.addEventListener("input", show);
}
