# shellcheck shell=bash
# What a target needs: its linker and its standard library. Sourced, in the root of the repository.

. cross/as-root.sh

CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
case $CARGO_TARGET_DIR in /*) ;; *) CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR ;; esac
export CARGO_TARGET_DIR
# What is installed for cross builds alone, and goes with `cargo clean`.
tools=${TIDEGATE_TOOLS:-$CARGO_TARGET_DIR/tools}
zig=$tools/zig
# Two releases that were seen to work together.
zig_packages=(ziglang==0.15.2 cargo-zigbuild==0.24.1)

# target, linker (a GNU triplet, `zig` or `cc`), and what it is for
targets='
aarch64-unknown-linux-gnu|aarch64-linux-gnu|Raspberry Pi 3, 4, 5, Zero 2 W with a 64-bit system
armv7-unknown-linux-gnueabihf|arm-linux-gnueabihf|Raspberry Pi 2, 3, 4 with a 32-bit system
arm-unknown-linux-musleabihf|zig|Raspberry Pi 1, Zero, Zero W (ARMv6); static, runs on every later one, too
aarch64-unknown-linux-musl|zig|64-bit ARM without glibc (Alpine), containers; static
x86_64-unknown-linux-gnu|cc|PCs
x86_64-unknown-linux-musl|zig|PCs without glibc, containers; static
'

list_targets() {
    local target linker what
    while IFS='|' read -r target linker what; do
        [ -z "$target" ] || printf '  %-31s %s\n' "$target" "$what"
    done <<<"$targets"
}

linker_of() {
    local target linker what
    while IFS='|' read -r target linker what; do
        if [ -n "$target" ] && [ "$target" = "$1" ]; then
            # Debian's compiler for this machine is `cc` wherever this is.
            if [ "$linker" = cc ] && [ "$(uname -m)" != "${1%%-*}" ]; then linker=x86_64-linux-gnu; fi
            echo "$linker"
            return
        fi
    done <<<"$targets"
    echo "There is no target $1. Those that there are:" >&2
    list_targets >&2
    return 1
}

# Installs Debian packages, or says which.
need_packages() {
    if ! command -v apt-get >/dev/null || ! as_root true; then
        echo "Missing here: $*. Install them, for example: sudo apt-get install $*" >&2
        exit 1
    fi
    echo "installing $*" >&2
    as_root apt-get update -qq >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# The linker is also the C compiler of ring and zstd; the `cc` crate finds both by the target's name.
find_linker() {
    local target=$1 linker=$2 name
    case $linker in
        zig) find_zig ;;
        cc) command -v cc >/dev/null || need_packages gcc libc6-dev ;;
        *)
            if ! command -v "$linker-gcc" >/dev/null; then
                case $linker in
                    aarch64-linux-gnu) need_packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;;
                    arm-linux-gnueabihf) need_packages gcc-arm-linux-gnueabihf libc6-dev-armhf-cross ;;
                    x86_64-linux-gnu) need_packages gcc-x86-64-linux-gnu libc6-dev-amd64-cross ;;
                esac
            fi
            name=${target//-/_}
            export "CARGO_TARGET_${name^^}_LINKER=$linker-gcc" "CC_$name=$linker-gcc" "AR_$name=$linker-ar"
            ;;
    esac
}

find_zig() {
    if [ ! -x "$zig/bin/cargo-zigbuild" ]; then
        python3 -c 'import ensurepip, venv' 2>/dev/null || need_packages python3-venv
        echo "installing ${zig_packages[*]} into $zig" >&2
        python3 -m venv "$zig"
        "$zig/bin/pip" install -q --disable-pip-version-check "${zig_packages[@]}" >&2
    fi
    # cargo-zigbuild asks for `python3 -m ziglang`.
    export PATH="$zig/bin:$PATH"
}

# The standard library of the target: rustup's, a distribution's, or built from its source. Sets `std`, the arguments for
# cargo. Building it is not stable in Cargo, hence the switch; what it builds is the stable library.
find_std() {
    local target=$1 sysroot
    std=()
    sysroot=$(rustc --print sysroot)
    [ -d "$sysroot/lib/rustlib/$target/lib" ] && return
    if command -v rustup >/dev/null && rustup target add "$target" >/dev/null 2>&1; then return; fi
    if [ ! -e "$sysroot/lib/rustlib/src/rust/library/Cargo.lock" ]; then
        if ! command -v rustup >/dev/null || ! rustup component add rust-src >/dev/null 2>&1; then
            echo "There is no standard library for $target here, nor its source. Install one of them, for example:
  rustup target add $target
  rustup component add rust-src" >&2
            exit 1
        fi
    fi
    echo "building the standard library for $target from its source" >&2
    export RUSTC_BOOTSTRAP=1
    std=(-Zbuild-std=std,panic_abort)
}
