// Standard JSON in on stdin, standard JSON out on stdout. `solc` is found by NODE_PATH.
const solc = require("solc");
process.stdout.write(solc.compile(require("fs").readFileSync(0, "utf8")));
