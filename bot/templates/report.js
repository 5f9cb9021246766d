"use strict";
// Everything works without this: it opens what a link leads to in older browsers, and filters.
const reveal = () => {
  let node = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const target = node;
  for (; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  if (target) target.scrollIntoView();
};
addEventListener("hashchange", reveal);
reveal();

const form = document.getElementById("filter");
const matches = (cell, verdict) => {
  const want = verdict === "!pass" ? ":is({% for verdict in Verdict if verdict is failing %}.v-{{ verdict }}{{ ', ' if not loop.last }}{% endfor %})" : verdict && `.v-${verdict}`;
  return !want || [...cell.children].some((half) => half.matches(want));
};
const filter = () => {
  const text = form.elements.text.value.trim().toLowerCase();
  const verdict = form.elements.verdict.value;
  const environment = form.elements.environment.value;
  for (const cell of document.querySelectorAll(".heat td, .heat thead th:not(.corner)"))
    cell.hidden = Boolean(environment) && !cell.classList.contains(environment);
  let shown = 0;
  const rows = document.querySelectorAll(".heat .row");
  for (const row of rows) {
    const cells = [...row.querySelectorAll("td:not([hidden])")];
    row.hidden = !row.dataset.text.toLowerCase().includes(text) || !cells.some((cell) => matches(cell, verdict));
    document.getElementById(`d-${row.dataset.for}`).hidden = row.hidden;
    shown += !row.hidden;
  }
  for (const family of document.querySelectorAll(".heat .family"))
    family.hidden = !family.parentElement.querySelector(".row:not([hidden])");
  form.querySelector("output").value = shown === rows.length ? "" : `${shown} of ${rows.length} architectures`;
};
form.hidden = false;
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
filter();
