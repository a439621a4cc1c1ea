#!/usr/bin/env bash
# Lets PyTorch from PyPI, which is built for CUDA, run on a machine without it and without the 3 GB of CUDA's libraries:
# writes stand-ins for those that are not there, whose every function returns cudaErrorInsufficientDriver. Of CUDA's packages
# only nvidia-cuda-runtime (8 MB) has to be there: PyTorch asks it whether there is a device. Needs cc and binutils.
#
# usage: no_cuda.sh SITE    (the folder that holds torch/); the stand-ins come to lie in SITE/torch/lib, where torch looks
set -euo pipefail
lib=$1/torch/lib
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nm -D --undefined-only "$lib"/*.so | sed -n 's/^ *[Uw] //p' | sort -u > "$work/wanted"
readelf -d "$lib"/*.so | sed -n 's/.*(NEEDED).*\[\(lib\(cu\|nv\|nccl\).*\)\]/\1/p' | sort -u | grep -v '^libcuda\.so' > "$work/libraries"
while read -r library; do
    [ -z "$(find "$1" -name "$library")" ] || continue
    name=${library%%.so*}
    case $library in
        libnvshmem*) versions="NVSHMEM" names='nvshmem\w*' ;;
        # these two export without a version
        libcufile* | libcusparseLt* | libnccl*) versions="" names="${name:3:4}\w*" ;;
        *) versions="$library" names='\w*' ;;
    esac
    sed -n "s/^\($names\)${versions:+@$versions}\$/\1/Ip" "$work/wanted" > "$work/names"
    {
        while read -r function; do echo ".globl $function; .type $function, @function; $function:"; done < "$work/names"
        echo 'mov $35, %eax; ret; .section .note.GNU-stack, "", @progbits'
    } > "$work/stub.s"
    script=()
    if [ -n "$versions" ]; then
        echo "$versions { global: *; };" > "$work/version"
        script=("-Wl,--version-script=$work/version")
    fi
    cc -shared -Wl,-soname,"$library" "${script[@]}" "$work/stub.s" -o "$lib/$library"
done < "$work/libraries"
