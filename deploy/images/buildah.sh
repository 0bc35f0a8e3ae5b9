#!/usr/bin/env bash
# buildah on the images of this checkout, in a way that works wherever there is root, also in a container.
set -euo pipefail
images=$(realpath "$(dirname "$0")/../..")/.images
exec buildah --root "$images/storage" --runroot "$images/run" --storage-driver vfs "$@"
