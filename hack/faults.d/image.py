"""A CRIU image as far as runc-guard reads it: the process table, the ids of the first process, the mount table. Layout: CRIU's criu/image.c,
images/mnt.proto, pstree.proto, core.proto."""

import os
import struct

COMMON_MAGIC = 0x54564319
PSTREE_MAGIC = 0x50273030
IDS_MAGIC = 0x54432030
MOUNTS_MAGIC = 0x55563928
UNSUPPORTED = 0  # CRIU's number of a file system that it does not dump
TMPFS = 5


def varint(value):
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(0x80 | value & 0x7F)
        value >>= 7
    return bytes([*encoded, value])


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value.encode()


def mount_record(index, mount):
    """MOUNT is (mountpoint, place of the mount that it lies on, whether it comes from outside)."""
    mountpoint, parent, is_external = mount
    kind = UNSUPPORTED if is_external else TMPFS
    record = number(1, kind) + number(2, index + 1) + number(3, 101 + index) + number(4, 0 if index == 0 else parent + 1) + number(5, 0)
    record += text(6, "/") + text(7, mountpoint) + text(8, "source") + text(9, "")
    return record + (text(18, mountpoint) if is_external and index else b"")


def write_file(path, magic, records):
    with open(path, "wb") as file:
        file.write(struct.pack("<II", COMMON_MAGIC, magic))
        for record in records:
            file.write(struct.pack("<I", len(record)) + record)


def write(directory, mounts):
    """MOUNTS in the order of mounting, the root file system first."""
    os.makedirs(directory)
    records = [mount_record(index, mount) for index, mount in enumerate(mounts)]
    write_file(os.path.join(directory, "pstree.img"), PSTREE_MAGIC, [number(1, 1)])
    write_file(os.path.join(directory, "ids-1.img"), IDS_MAGIC, [number(9, 12)])
    write_file(os.path.join(directory, "mountpoints-12.img"), MOUNTS_MAGIC, records[::-1])  # the newest first, as CRIU has them
