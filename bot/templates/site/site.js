"use strict";
// Everything on the site can be read without this: it says how old the data is, filters tables, and answers.

// --- The age of the data -------------------------------------------------------------------------------------------
const DAY = 86400000;
const days = (night) => Math.floor((Date.now() - Date.parse(`${night}T00:00:00Z`)) / DAY);
const ago = (number) => (number < 1 ? "today" : number === 1 ? "yesterday" : `${number} days ago`);
for (const time of document.querySelectorAll("footer time")) time.after(` (${ago(days(time.dateTime))})`);
const { night: newest, fresh, trusted } = globalThis.zero3 ?? {}; // from night.js
const old = (night) => days(night) > trusted;
if (newest && days(newest) > fresh) {
  const banner = document.getElementById("age");
  banner.textContent = `The newest data on this site is ${days(newest)} days old (${newest}). The nightly runs may have stopped. Results that are more than ${trusted} days old are grey, and never called safe.`;
  banner.hidden = false;
  for (const one of document.querySelectorAll("[data-night]:not(.stale)")) {
    if (!old(one.dataset.night)) continue;
    one.classList.add("stale");
    const textContent = one.tagName === "LI" ? ": stale, no longer called safe" : " stale";
    if (one.tagName !== "MAIN") one.append(Object.assign(document.createElement("span"), { className: one.matches(".pair") ? "sr" : "", textContent }));
  }
}

// --- The address holds what a form says ----------------------------------------------------------------------------
const restore = (form) => {
  const asked = new URLSearchParams(location.search);
  for (const field of form.elements) if (field.name) field.value = asked.get(field.name) ?? field.dataset.initial ?? "";
};
const remember = (form) => {
  const values = new URLSearchParams();
  for (const field of form.elements) if (field.name && field.value) values.set(field.name, field.value);
  const query = values.toString();
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
  const failing = "{% for verdict in Verdict if verdict is failing %}{{ verdict }} {% endfor %}".split(" ").filter(Boolean);
  const matches = (row, { text, family, verdict }) => {
    const verdicts = row.dataset.verdicts.trim().split(" ");
    const right = verdict.value === "!pass" ? verdicts.some((one) => failing.includes(one)) : !verdict.value || verdicts.includes(verdict.value);
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

// --- The answer box ------------------------------------------------------------------------------------------------
const element = (name, ...children) => {
  const made = document.createElement(name);
  made.append(...children);
  return made;
};
const link = (text, page) => Object.assign(element("a", text), { href: page });

const box = document.getElementById("answer");
if (box) {
  const data = JSON.parse(document.getElementById("data").textContent);
  const verdict = document.getElementById("verdict");
  const codes = (environment, index) => environment.verdicts.slice(index * data.cases.length, (index + 1) * data.cases.length);
  const meant = (code) => data.verdicts[Number.parseInt(code, 36)]; // undefined where it is untested
  const loader = (name) => data.cases.flatMap((one, place) => (one.startsWith(name) ? [place] : []));
  const answer = (environment, index, fixed = false) => environment.answers[2 * index + fixed]; // s safe, u unsafe, ? not known
  const alike = (one, other) => ["transformers", "deepspeed", "device"].every((name) => one[name] === other[name]);
  const late = (environment) => data.environments.some((one) => alike(one, environment) && old(one.night)); // since it was published
  const safe = (environment, index, fixed) => answer(environment, index, fixed) === "s" && !late(environment);

  // Where a version is among the measured ones, also one that was not measured itself.
  const numbers = (version) => version.split(/[^0-9]+/).filter(Boolean).map(Number);
  const older = (one, other) => {
    const [a, b] = [numbers(one), numbers(other)];
    const place = a.findIndex((number, at) => number !== b[at]);
    return place >= 0 ? a[place] < (b[place] ?? 0) : a.length < b.length;
  };
  const place = (versions, asked) => (versions.includes(asked) ? versions.indexOf(asked) : versions.filter((one) => older(one, asked)).length - 0.5);
  const steps = (versions, one, asked) => (asked ? Math.abs(place(versions, one) - place(versions, asked)) : 0);
  const distance = (environment, asked) =>
    steps(data.transformers, environment.transformers, asked.transformers) + steps(data.deepspeeds, environment.deepspeed, asked.deepspeed);

  const page = (environment, index) => `cases/${environment.slug}/${data.architectures[index].slug}.html`;
  const why = (environment, index) => {
    // `why` has an entry for each wrong verdict of the environment, in their order.
    const wrong = (text) => [...text].filter((code) => meant(code)?.wrong).length;
    const before = wrong(environment.verdicts.slice(0, index * data.cases.length));
    const here = [...codes(environment, index)];
    const found = here.flatMap((code, at) => (meant(code)?.wrong ? [{ at, failure: data.failures[environment.why[before + wrong(here.slice(0, at).join(""))]] }] : []));
    return found.filter(({ at, failure }) => failure && loader("stock ").includes(at)).map(({ failure }) => failure);
  };
  const stale = (environment) => [...environment.stale, ...(late(environment) ? [`measured more than ${trusted} days ago`] : [])];
  const stalely = (environment) => (stale(environment).length ? [` Stale: ${stale(environment).join("; ")}.`] : []);

  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
  const signs = { safe: "✓", unsafe: "✕", unknown: "?" };
  const signed = ({ state, word }) => [Object.assign(element("span", `${signs[state]} `), { ariaHidden: "true" }), word];
  const say = (state, word, rest) => Object.assign(element("p", element("b", ...signed({ state, word })), ` ${rest}`), { className: "say" });

  const unmeasured = "{% for verdict in Verdict if verdict is absent %}{{ verdict }} {% endfor %}".split(" ").filter(Boolean);
  const lacks = (environment, index) => tried(environment, index).every((one) => one.meant?.verdict === "unsupported");
  const joined = (words) => (words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : words.join(""));
  // Cases of a loader, each with what it was done in; not those that this environment was not measured in.
  const tried = (environment, index, name = "stock ") =>
    loader(name).filter((at) => codes(environment, index)[at] !== "-").map((at) => {
      const [, check, ...training] = data.cases[at].split(" ");
      return { check, training: training.join(" "), meant: meant(codes(environment, index)[at]) };
    });
  const needed = "{% for check, description in CHECKS.items() if description.needed_for_safe %}{{ check }} {% endfor %}".split(" ").filter(Boolean);
  const trainings = (cases) => [...new Set(cases.map((one) => one.training))];
  // The precisions in which every check passed: what a yes rests on.
  const right = (cases) =>
    trainings(cases).filter((training) => {
      const there = cases.filter((one) => one.training === training);
      return !training.includes(" ") && there.every((one) => one.meant?.verdict === "pass") && needed.every((check) => there.some((one) => one.check === check));
    });
  const inWhat = (cases) => {
    const by = new Map();
    for (const check of new Set(cases.map((one) => one.check))) {
      const where = joined(trainings(cases.filter((one) => one.check === check)));
      by.set(where, [...(by.get(where) ?? []), check]);
    }
    return [...by].map(([where, checks]) => `${joined(checks)} in ${where}`).join(", ");
  };
  const describe = (environment, index) => {
    const stock = tried(environment, index);
    const passed = right(stock);
    const shown = stock.filter((one) => one.meant?.verdict !== "pass");
    const texts = [...new Set(shown.map((one) => one.meant))].map((meant) => {
      const names = inWhat(shown.filter((one) => one.meant === meant));
      return meant ? `${names}: ${meant.word} (${meant.meaning})` : `${names}: untested`;
    });
    if (safe(environment, index)) {
      const checks = inWhat(stock.filter((one) => passed.includes(one.training)));
      const others = texts.length ? [` Not part of this: ${texts.join("; ")}.`] : [];
      return { state: "safe", word: `Safe in ${joined(passed)}`, where: passed, how: [`Every tensor is right: ${checks} passed (`, link("how this is known", "about.html"), ").", ...others] };
    }
    if (lacks(environment, index)) return { state: "unknown", word: "No such class in this version", where: [], how: [] };
    if (texts.length && passed.length) texts.push(`${inWhat(stock.filter((one) => passed.includes(one.training)))}: pass`);
    const others = data.environments.some((one) => one !== environment && alike(one, environment));
    const doubt = others ? "It passed here, but not reliably in every environment with these versions" : `It passed, but ${environment.flaky} % of the cases with these versions differ from run to run, so the pass may be chance`;
    if (!texts.length) texts.push(stale(environment).length ? "It passed when it was measured" : doubt);
    const unsafe = answer(environment, index) === "u" && !stock.every((one) => unmeasured.includes(one.meant?.verdict));
    const wrong = trainings(stock.filter((one) => one.meant?.wrong && !one.training.includes(" ")));
    const word = !unsafe ? "Not known" : wrong.length ? `Unsafe in ${joined(wrong)}` : stock.some((one) => one.meant?.wrong) ? "Unsafe" : "Not usable";
    return { state: unsafe ? "unsafe" : "unknown", word, where: unsafe ? wrong : [], how: [`${capital(texts.join("; "))}.`] };
  };
  const nearest = (index, asked) => {
    const good = data.environments.filter((one) => one.device === asked.device && safe(one, index)).sort((one, other) => distance(one, asked) - distance(other, asked)).slice(0, 3);
    if (!good.length) return element("p", `No measured environment is known to be safe on ${asked.device}.`);
    return element("p", "Nearest safe: ", ...good.flatMap((one, at) => [at ? ", " : "", link(one.label, page(one, index)), ` (${joined(right(tried(one, index)))})`]), ".");
  };
  const one = (environment, index, asked) => {
    const { state, word, how } = describe(environment, index);
    const failures = [...new Set(why(environment, index))];
    const fixed = state === "unsafe" && safe(environment, index, true) ? [element("p", `With the fixed loader it is safe in ${joined(right(tried(environment, index, "fixed ")))}.`)] : [];
    return [
      state,
      say(state, word, `with ${environment.label}`),
      element("p", ...how, ...stalely(environment)),
      ...failures.map((failure) => element("p", "Why: ", link(failure.text, failure.page))),
      ...fixed,
      element("p", link("Tensors, values, ranks and the command that reproduces it", page(environment, index)), ` (measured ${environment.night}).`),
      ...(state === "safe" ? [] : [nearest(index, asked)]),
    ];
  };
  const absent = (environment, index, asked) => [
    "unknown",
    say("unknown", "No such class", `in ${environment.label}`),
    element("p", `This version of transformers does not have ${data.architectures[index].id}.`),
    nearest(index, asked),
  ];
  const several = (found, index, asked) => {
    const answers = found.map((environment) => describe(environment, index));
    const [{ state, word }] = answers;
    const good = answers.filter((one) => one.state === "safe").length;
    const same = answers.every((one) => one.word === word);
    // What holds in every environment; the list has each one's own precisions.
    const everywhere = answers[0].where.filter((training) => answers.every((one) => one.where.includes(training)));
    const agreed = same || (answers.every((one) => one.state === state) && (state === "unsafe" || (state === "safe" && everywhere.length > 0)));
    const title = same ? word : `${capital(state)}${everywhere.length ? ` in ${joined(everywhere)}` : ""}`;
    return [
      agreed ? state : "several",
      agreed ? say(state, title, `in ${found.length === 2 ? "both" : `all ${found.length}`} environments`) : say("unknown", "It depends", `on the environment: safe in ${good} of ${found.length}`),
      element("p", `${data.architectures[index].id} was measured with:`),
      element("ul", ...found.map((environment, at) => element("li", link(environment.label, page(environment, index)), ": ", ...signed(answers[at]), ...(stale(environment).length ? [", stale"] : [])))),
      ...(good ? [] : [nearest(index, asked)]),
    ];
  };
  const none = (index, asked) => [
    "unknown",
    say("unknown", "Not measured", `with ${asked.transformers ? `transformers ${asked.transformers}` : "any transformers"} and ${asked.deepspeed ? `deepspeed ${asked.deepspeed}` : "any deepspeed"} on ${asked.device}`),
    element("p", `It is not known whether ${data.architectures[index].id} is safe there. This is not a yes.`),
    nearest(index, asked),
  ];
  const unclear = (indices, asked) => {
    const again = (index) => link(data.architectures[index].id, `?${new URLSearchParams({ ...asked, model: data.architectures[index].id })}`);
    if (!indices.length)
      return [
        "unknown",
        element("p", `The catalog has no architecture with “${asked.model}” in its name. It was not measured, so this is not a yes.`),
        element("p", "To measure it in your own environment: ", element("code", `zero3 check ${asked.model}`)),
      ];
    return ["unknown", element("p", "Which one? "), element("ul", ...indices.slice(0, 20).map((index) => element("li", again(index))))];
  };

  const models = (text) => {
    const wanted = text.trim().toLowerCase();
    const all = data.architectures.map((one, index) => ({ index, id: one.id.toLowerCase() }));
    const exact = all.filter(({ id }) => id === wanted || id.split(":").includes(wanted));
    return (exact.length ? exact : all.filter(({ id }) => id.includes(wanted))).map(({ index }) => index);
  };
  const answered = (asked) => {
    const indices = models(asked.model);
    if (indices.length !== 1) return unclear(indices, asked);
    const [index] = indices;
    const same = (environment) => ["transformers", "deepspeed", "device"].every((name) => !asked[name] || environment[name] === asked[name]);
    const found = data.environments.filter((environment) => same(environment) && /[^.-]/.test(codes(environment, index)));
    if (!found.length) return none(index, asked);
    if (found.length > 1) return several(found, index, asked);
    return (lacks(found[0], index) ? absent : one)(found[0], index, asked);
  };
  // An example question, where the data has its answer.
  const example = document.getElementById("example");
  const known = data.environments.find((one) => one.transformers === "5.5.4");
  if (known && models("deepseek_v3").length === 1) {
    const question = new URLSearchParams({ model: "deepseek_v3", transformers: known.transformers, deepspeed: known.deepspeed, device: known.device });
    example.append("For example: ", link(`deepseek_v3 with transformers ${known.transformers} and deepspeed ${known.deepspeed}`, `?${question}`));
  }
  const show = () => {
    const asked = Object.fromEntries(["model", "transformers", "deepspeed", "device"].map((name) => [name, box.elements[name].value.trim()]));
    const [state, ...parts] = asked.model ? answered(asked) : [""];
    verdict.className = state;
    verdict.replaceChildren(...parts);
    example.hidden = Boolean(asked.model) || !example.hasChildNodes();
  };

  const options = (values) => values.map((value) => Object.assign(element("option"), { value }));
  const types = data.architectures.map((one) => one.id);
  document.getElementById("models").append(...options(types));
  document.getElementById("transformers").append(...options([...data.transformers].reverse()));
  document.getElementById("deepspeeds").append(...options([...data.deepspeeds].reverse()));
  box.elements.device.append(...data.devices.map((device) => element("option", device)));
  box.elements.device.dataset.initial = data.devices[0] ?? "";
  live(box, show);
}
