// Standard JSON in on stdin, standard JSON out on stdout. `solc` and imported libraries are found by NODE_PATH.
const fs = require("fs");
const solc = require("solc");

function library(path) {
  try {
    return { contents: fs.readFileSync(require.resolve(path), "utf8") };
  } catch (error) {
    return { error: String(error) };
  }
}

process.stdout.write(solc.compile(fs.readFileSync(0, "utf8"), { import: library }));
