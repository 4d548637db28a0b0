# SPDX-License-Identifier: Apache-2.0
"""What the programs say of themselves and what the documents say of them: neither may know more.

Options and verbs in the usage texts of a program's sources stand in its manual, and the other way round; those of
`sluice` in docs/, too. Each option of a configuration stands in a sample or in docs/, each of the policy document
in policy.yaml. Metrics stand in docs/api.md and the other way round; what the log warns of, in docs/operating.md. Judged by
name only.
"""
import glob
import os
import re

PROGRAMS = [
    # manual, sources with its usage texts
    ("deploy/man/sluice.1", ["broker/cli/main.c"]),
    ("deploy/man/sluice-broker.8", ["broker/shell/main.c"]),
    ("deploy/man/sluice-agent.8", ["agent/shell/main.c", "agent/shell/join.c"]),
    ("deploy/man/sluice-convert.1", ["agent/convert/main.c"]),
]
CONFIGURATIONS = [
    # sources with the rows of options, documents of which one has to name each
    ("broker/shell/config.c", ["docs/*.md", "deploy/config/*.yaml", "deploy/feeds/*.md"]),
    ("agent/shell/config.c", ["docs/*.md", "deploy/config/*.yaml"]),
    ("agent/shell/config_pool.h", ["docs/*.md", "deploy/config/*.yaml"]),
    ("broker/policy/document.c", ["deploy/config/policy.yaml"]),
]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
ROW = re.compile(r'\{\s*(?:[A-Z]+ )?"([a-z0-9_.]+)",[\s\\]*SL_CONF_')
VERB = re.compile(r'^ {4}\{"([a-z]+)",', re.M)
METRIC = re.compile(r'\bsluice_[a-z_]*[a-z]\b')
WARNING = re.compile(r'SL_LOG_(?:ERROR|WARN),\s*"([a-z_]+\.[a-z_.]+)"')
STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


class Documents:
    def __init__(self, root):
        self.root = root
        self.violations = []

    def read(self, pattern):
        texts = []
        for path in sorted(glob.glob(os.path.join(self.root, pattern))):
            with open(path, encoding="utf-8") as f:
                texts.append(f.read())
        return "\n".join(texts)

    def say(self, path, text):
        self.violations.append(f"{path}:1: document: {text}")

    def check_program(self, manual, sources):
        code = "\n".join(self.read(source) for source in sources)
        page = self.read(manual)
        if not code or not page:
            return
        said = set(OPTION.findall("\n".join(STRING.findall(code))))
        known = {"--" + name for name in re.findall(r"Fl -([a-z][a-z-]*[a-z])", page)}
        for option in sorted(said - known):
            self.say(manual, f"{option}, of which {sources[0]} speaks, is not there")
        for option in sorted(known - said):
            self.say(manual, f"{sources[0]} does not speak of {option}")
        if manual.endswith("sluice.1"):
            self.check_verbs(code, page, manual, said)

    def check_verbs(self, code, page, manual, said):
        table = self.read("docs/cli.md")
        texts = self.read("docs/*.md")
        for verb in VERB.findall(code):
            if not re.search(r"\bCm " + verb + r"\b", page):
                self.say(manual, f"the verb {verb} is not there")
            if not re.search(r"\b" + verb + r"\b", table):
                self.say("docs/cli.md", f"the verb {verb} is not there")
        for option in sorted(said - set(OPTION.findall(texts)) - {"--version"}):
            self.say("docs/cli.md", f"neither it nor what it refers to in docs/ speaks of {option}")

    def check_configuration(self, source, documents):
        text = "\n".join(self.read(pattern) for pattern in documents)
        for name in ROW.findall(self.read(source)):
            if not re.search(r"\b" + name.split(".")[-1] + r"\b", text):
                self.say(source, f"the option {name} stands in none of {', '.join(documents)}")

    def check_metrics(self):
        code = "\n".join(STRING.findall(self.read("broker/http/*.c")))
        said, known = set(METRIC.findall(code)), set(METRIC.findall(self.read("docs/api.md")))
        for name in sorted(said - known):
            self.say("docs/api.md", f"the metric {name} is not there")
        for name in sorted(known - said if code else ()):
            self.say("docs/api.md", f"the broker has no metric {name}")

    def check_log(self):
        text = self.read("docs/operating.md")
        code = "\n".join(self.read(f"{top}/*/*.c") for top in ("broker", "agent", "proto"))
        for name in sorted(set(WARNING.findall(code))):
            if f"`{name}`" not in text:
                self.say("docs/operating.md", f"the log's warning {name} is not there")

    def run(self):
        self.check_metrics()
        self.check_log()
        for manual, sources in PROGRAMS:
            self.check_program(manual, sources)
        for source, documents in CONFIGURATIONS:
            self.check_configuration(source, documents)
        return self.violations
