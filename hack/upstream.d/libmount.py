"""What crun's test_mounts.py uses of util-linux' Python module libmount, which Debian does not build; on the real library."""

import ctypes

_library = ctypes.CDLL("libmount.so.1")
for _name, _arguments, _result in (
    ("mnt_new_table_from_file", [ctypes.c_char_p], ctypes.c_void_p),
    ("mnt_table_find_target", [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int], ctypes.c_void_p),
    ("mnt_fs_get_vfs_options", [ctypes.c_void_p], ctypes.c_char_p),
    ("mnt_fs_get_fs_options", [ctypes.c_void_p], ctypes.c_char_p),
):
    _function = getattr(_library, _name)
    _function.argtypes, _function.restype = _arguments, _result

MNT_ITER_BACKWARD = 1


class _FileSystem:
    def __init__(self, handle):
        self.vfs_options = _library.mnt_fs_get_vfs_options(handle).decode()
        self.fs_options = _library.mnt_fs_get_fs_options(handle).decode()


class Table:
    def __init__(self, path):
        self._handle = _library.mnt_new_table_from_file(path.encode())
        if not self._handle:
            raise OSError(f"libmount cannot read {path}")

    def find_target(self, path, direction=MNT_ITER_BACKWARD):
        handle = _library.mnt_table_find_target(self._handle, path.encode(), direction)
        return _FileSystem(handle) if handle else None
