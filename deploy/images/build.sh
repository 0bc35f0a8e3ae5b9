#!/usr/bin/env bash
# Build both images with buildah, without an engine and without a registry: on a Debian made here, which has no shell where the
# services run. For `make images`; an image for production is built on the base that the Dockerfile names.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ "$(id -u)" = 0 ] || { echo "make images needs root: debootstrap does" >&2; exit 1; }
for program in buildah debootstrap; do
    command -v "$program" >/dev/null || { apt-get update -qq && apt-get install -qq --yes --no-install-recommends "$program"; }
done

images=$PWD/.images
mkdir -p "$images"
run() { deploy/images/buildah.sh "$@"; }

# A base to build on, and the same without shells and without what installs packages: that the services run on.
if ! run inspect --type image localhost/ovms-runtime >/dev/null 2>&1; then
    # The mirror that this machine installs from.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)
    rm -rf "$images/debian"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$images/debian" "$mirror"
    for name in python runtime; do
        base=$(run from scratch)
        run add --quiet "$base" "$images/debian" / >/dev/null
        run config --env PATH=/usr/local/bin:/usr/bin:/bin "$base"
        run commit --quiet --rm "$base" "localhost/ovms-$name" >/dev/null
        rm -f "$images"/debian/usr/bin/{sh,bash,dash,apt*,dpkg*,perl*}
    done
    rm -rf "$images/debian"
fi

build() {
    run build --quiet --pull-never --isolation chroot --format docker --build-arg PIP_NO_INDEX=1 \
        --build-arg PYTHON=localhost/ovms-python --build-arg RUNTIME=localhost/ovms-runtime \
        --build-arg "REVISION=$(git rev-parse --short HEAD)" "$@" .
}

for service in car-protocol api-gateway; do
    # With the settings that pip has on this machine: an image knows no index. Without markers: the base has another Python.
    sed 's/ ; .* \\$/ \\/' "requirements/$service.txt" > "$images/$service.txt"
    .venv/bin/python -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps \
        --only-binary :all: --dest deploy/images/wheels -r "$images/$service.txt"
    build --file "deploy/images/$service.Dockerfile" --tag "localhost/ovms-$service"
done
build --file deploy/images/car-protocol.Dockerfile --target demo-car --tag localhost/ovms-demo-car
run images
