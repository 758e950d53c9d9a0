"""Every dependency's licence against the list in deny.toml; one that no alternative of is listed fails."""
import json
import pathlib
import re
import subprocess
import sys
import tomllib

root = pathlib.Path(__file__).resolve().parent.parent
allowed = set(tomllib.loads((root / "deny.toml").read_text())["licenses"]["allow"])
metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--locked"], cwd=root))


def fits(expression):
    """Whether the expression can be met with allowed licences: AND binds tighter than OR, one level of brackets."""
    expression = expression.replace("/", " OR ")
    while "(" in expression:
        inner = re.search(r"\(([^()]*)\)", expression)
        expression = expression[: inner.start()] + ("MIT" if fits(inner.group(1)) else "-") + expression[inner.end() :]
    either = re.split(r"\s+OR\s+", expression)
    return any(all(term.strip() in allowed for term in re.split(r"\s+AND\s+", one)) for one in either)


bad = [f"{package['name']} {package['version']}: {package['license']}"
       for package in metadata["packages"] if not fits(package["license"] or "none stated")]
for line in bad:
    print(f"licence not in deny.toml: {line}")
print(f"{len(metadata['packages'])} licences read, {len(bad)} not allowed")
sys.exit(bool(bad))
