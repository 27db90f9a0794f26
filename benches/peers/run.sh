#!/bin/sh
# Builds elegante, makes those of the peers' virtual environments that are needed and missing, and compares;
# arguments go to compare.py. README.md says what is measured.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
peers=$root/benches/peers
venvs=${VENVS:-$root/target/peers}
python=${PYTHON:-python3}

case " $* " in *" -h "* | *" --help "*) exec "$python" "$peers/compare.py" --help ;; esac
# Says what is wrong with the arguments, too, before anything is made.
needs=$("$python" "$peers/compare.py" --needs "$@")
needed() {
    case " $needs " in *" $1 "*) return 0 ;; *) return 1 ;; esac
}

for name in torch jax; do
    needed $name || continue
    wanted=$peers/requirements/$name.txt
    installed=$venvs/$name/installed.txt
    cmp -s "$wanted" "$installed" && continue
    "$python" -m venv "$venvs/$name"
    "$venvs/$name/bin/pip" install --quiet --requirement "$wanted"
    cp "$wanted" "$installed"
done

# Not while anything is measured.
if needed elegante && [ -z "${ELEGANTE:-}" ]; then
    (cd "$root" && cargo build --release --package elegante-cli)
fi

exec "$python" "$peers/compare.py" --venvs "$venvs" ${ELEGANTE:+--elegante "$ELEGANTE"} "$@"
