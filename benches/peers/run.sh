#!/bin/sh
# Builds elegante, makes the peers' virtual environments where they are missing, and compares;
# arguments go to compare.py. README.md says what is measured.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
peers=$root/benches/peers
venvs=${VENVS:-$root/target/peers}

for name in torch jax; do
    wanted=$peers/requirements/$name.txt
    installed=$venvs/$name/installed.txt
    cmp -s "$wanted" "$installed" && continue
    "${PYTHON:-python3}" -m venv "$venvs/$name"
    "$venvs/$name/bin/pip" install --quiet --requirement "$wanted"
    cp "$wanted" "$installed"
done

# Not while anything is measured.
[ -n "${ELEGANTE:-}" ] || (cd "$root" && cargo build --release --package elegante-cli)

exec "${PYTHON:-python3}" "$peers/compare.py" --venvs "$venvs" ${ELEGANTE:+--elegante "$ELEGANTE"} "$@"
