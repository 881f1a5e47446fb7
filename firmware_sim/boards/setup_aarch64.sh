#!/usr/bin/env bash
# Sets up a 64-bit ARM environment for `earshot profile --board BOARD` on an x86 Debian or Ubuntu: user-mode
# emulator, Debian 12 user-land, aarch64 wheels of the versions installed here, a plugin that counts instructions.
#
#   firmware_sim/boards/setup_aarch64.sh [--language] [DIR]
#
# DIR defaults to $EARSHOT_AARCH64 or ~/.cache/earshot/aarch64 (400 MB). --language also compiles llama.cpp for ARM,
# for Cortex-A53/A72 and for Cortex-A76: about 10 minutes on one core. Nothing outside DIR is changed; missing
# system packages are named, not installed. JOBS=1 sets how many compilers run at a time.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
language=
if [ "${1:-}" = --language ]; then language=yes; shift; fi
dir=${1:-${EARSHOT_AARCH64:-$HOME/.cache/earshot/aarch64}}
own=$here/../../.venv/bin/python  # what `make` sets up
python=${PYTHON:-$([ -x "$own" ] && realpath -s "$own" || echo python3)}
jobs=${JOBS:-1}

need() {  # program, Debian package
  command -v "$1" >/dev/null || missing="${missing:-} $2"
}
need qemu-aarch64 qemu-user
need mmdebstrap mmdebstrap
need gcc "gcc libc6-dev"
if [ "$language" ]; then
  need aarch64-linux-gnu-g++ g++-aarch64-linux-gnu
  need cmake cmake
fi
if [ "${missing:-}" ]; then
  echo "first install:${missing}" >&2
  echo "for example: apt-get install --no-install-recommends${missing}" >&2
  exit 2
fi

if ! "$python" -c "import onnxruntime" 2>/dev/null; then
  echo "$python has no Earshot, whose versions are to be set up: run 'make setup', or name another one with PYTHON=" >&2
  exit 2
fi

version() { "$python" -c "from importlib.metadata import version; print(version('$1'))"; }

mkdir -p "$dir"
cd "$dir"

if [ ! -d rootfs ]; then
  # Debian 12 whatever the host is: the wheels below are for its Python 3.11.
  rm -rf rootfs.part
  sources=/etc/apt/sources.list.d/debian.sources
  grep -qs bookworm "$sources" || sources=
  mmdebstrap --quiet --variant=extract --architectures=arm64 \
    --include=python3,libstdc++6,libgomp1,libatomic1,libsndfile1 \
    --aptopt='APT::Install-Recommends "false"' bookworm rootfs.part ${sources:+"$sources"}
  mv rootfs.part rootfs
fi

if [ ! -d site ]; then
  rm -rf site.part wheels && mkdir site.part
  platforms=()
  for tag in manylinux_2_28_aarch64 manylinux_2_27_aarch64 manylinux_2_17_aarch64 manylinux2014_aarch64 any; do
    platforms+=(--platform "$tag")
  done
  "$python" -m pip download --quiet --dest wheels --only-binary=:all: --python-version 3.11 --implementation cp \
    --abi cp311 --abi abi3 --abi none "${platforms[@]}" \
    "numpy==$(version numpy)" "onnxruntime==$(version onnxruntime)" "psutil==$(version psutil)" \
    soxr pydantic soundfile typing_extensions diskcache jinja2 typer rich
  for wheel in wheels/*.whl; do "$python" -m zipfile -e "$wheel" site.part; done
  mv site.part site
fi

gcc -O2 -fPIC -shared -o libcount.so "$here/count_instructions.c"

build_language() {  # folder for the libraries, -march
  local out=$1 march=$2
  [ -d "$out" ] && return
  cmake -S llama-source/vendor/llama.cpp -B llama-build -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
    -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ \
    -DBUILD_SHARED_LIBS=ON -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF "-DGGML_CPU_ARM_ARCH=$march" \
    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF \
    -DLLAMA_CURL=OFF -DLLAMA_BUILD_COMMON=OFF >llama-build.log
  cmake --build llama-build --target llama --parallel "$jobs" >>llama-build.log
  rm -rf "$out.part" && mkdir "$out.part"
  cp -a llama-build/bin/*.so* "$out.part"
  mv "$out.part" "$out"
}

if [ "$language" ]; then
  if [ ! -d llama-source ]; then
    rm -rf llama-source.part && mkdir llama-source.part
    "$python" -m pip download --quiet --dest llama-sdist --no-deps --no-binary llama-cpp-python \
      "llama-cpp-python==$(version llama-cpp-python)"
    tar -xzf llama-sdist/*.tar.gz -C llama-source.part --strip-components=1
    mv llama-source.part llama-source
  fi
  # Both from one build folder: the second time only the files that depend on the processor are compiled again.
  build_language llama-armv8.2 armv8.2-a+dotprod+fp16
  build_language llama-armv8.0 armv8-a
  [ -d site/llama_cpp ] || cp -r llama-source/llama_cpp site/llama_cpp
fi
echo "ready: $dir"
