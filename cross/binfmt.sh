# shellcheck shell=bash
# Programs of 64-bit ARM run as others do, by QEMU. Sourced, in a user and mount namespace: there, and nowhere else on this machine, since
# binfmt_misc is separate for each (Linux 6.7 and later).

run_arm64_programs() {
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    # By the head of their file; the interpreter is opened here (F), so that it works below another root, too.
    local magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
    local mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    printf ':arm64:M::%s:%s:%s:OCF' "$magic" "$mask" "$(command -v qemu-aarch64-static)" >/proc/sys/fs/binfmt_misc/register
}
