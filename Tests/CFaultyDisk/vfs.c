#include "disk.h"
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

/// A file of SQLite in a registered directory; the file of the real VFS follows it in memory.
struct file {
    sqlite3_file base;
    struct node *node;
    /// The real VFS syncs the directory with the first sync of a log, whoever has made it.
    int syncs_name;
};

static sqlite3_vfs *real;
static sqlite3_vfs vfs;

static struct file *of(sqlite3_file *file) { return (struct file *)file; }
static sqlite3_file *real_of(sqlite3_file *file) { return (sqlite3_file *)(of(file) + 1); }

static int result(int error, int code) {
    return error == 0 ? SQLITE_OK : error == ENOSPC ? SQLITE_FULL : code;
}

static int file_close(sqlite3_file *file) {
    int code = real_of(file)->pMethods->xClose(real_of(file));
    disk_lock();
    node_closed(of(file)->node);
    disk_unlock();
    return code;
}

static int file_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset) {
    if (apus_disk_is_dead(of(file)->node->disk)) return SQLITE_IOERR_READ;
    return real_of(file)->pMethods->xRead(real_of(file), bytes, count, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    disk_lock();
    int error = node_write(of(file)->node, bytes, count, offset);
    disk_unlock();
    return result(error, SQLITE_IOERR_WRITE);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
    disk_lock();
    int error = node_truncate(of(file)->node, size);
    disk_unlock();
    return result(error, SQLITE_IOERR_TRUNCATE);
}

static int file_sync(sqlite3_file *file, int flags) {
    (void)flags;
    disk_lock();
    int error = node_sync(of(file)->node, of(file)->syncs_name);
    if (!error) of(file)->syncs_name = 0;
    disk_unlock();
    return result(error, SQLITE_IOERR_FSYNC);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}
static int file_lock(sqlite3_file *file, int level) {
    return real_of(file)->pMethods->xLock(real_of(file), level);
}
static int file_unlock(sqlite3_file *file, int level) {
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}
static int file_check_lock(sqlite3_file *file, int *is_locked) {
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), is_locked);
}
static int file_control(sqlite3_file *file, int operation, void *argument) {
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}
static int file_sector_size(sqlite3_file *file) {
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}
static int file_characteristics(sqlite3_file *file) {
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}
static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **memory) {
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, memory);
}
static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags) {
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}
static void file_shm_barrier(sqlite3_file *file) { real_of(file)->pMethods->xShmBarrier(real_of(file)); }
static int file_shm_unmap(sqlite3_file *file, int deletes) {
    return real_of(file)->pMethods->xShmUnmap(real_of(file), deletes);
}

/// Without the methods of version 3: nothing is mapped into memory behind the disk's back.
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int open_on(apus_disk *disk, const char *path, sqlite3_file *file, int flags, int *flags_out) {
    int is_new = access(path, F_OK) != 0 && (flags & SQLITE_OPEN_CREATE);
    if (apus_disk_is_dead(disk)) return SQLITE_CANTOPEN;
    int error = is_new ? disk_may_create(disk, path) : 0;
    if (error) return result(error, SQLITE_CANTOPEN);
    int code = real->xOpen(real, path, real_of(file), flags, flags_out);
    if (code != SQLITE_OK) return code;
    of(file)->node = node_at(disk, path);
    if (!of(file)->node) {
        real_of(file)->pMethods->xClose(real_of(file));
        return SQLITE_CANTOPEN;
    }
    int logs = SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL;
    of(file)->syncs_name = (flags & SQLITE_OPEN_CREATE) && (flags & logs);
    if (is_new) disk_created(disk, of(file)->node);
    node_opened(of(file)->node);
    file->pMethods = &methods;
    return SQLITE_OK;
}

static int vfs_open(sqlite3_vfs *self, const char *path, sqlite3_file *file, int flags, int *flags_out) {
    (void)self;
    disk_lock();
    apus_disk *disk = disk_of(path);
    int code = SQLITE_OK;
    if (disk) {
        memset(file, 0, sizeof(struct file));
        code = open_on(disk, path, file, flags, flags_out);
    }
    disk_unlock();
    // A file of no registered directory gets the real VFS's own methods.
    return disk ? code : real->xOpen(real, path, file, flags, flags_out);
}

static int vfs_delete(sqlite3_vfs *self, const char *path, int syncs_directory) {
    (void)self;
    disk_lock();
    apus_disk *disk = disk_of(path);
    int error = disk ? disk_unlink(disk, path) : 0;
    if (disk && !error && syncs_directory) {
        char directory[4096];
        strncpy(directory, path, sizeof directory - 1);
        directory[sizeof directory - 1] = 0;
        *strrchr(directory, '/') = 0;
        disk_sync_names(disk, directory);
    }
    disk_unlock();
    if (!disk) return real->xDelete(real, path, syncs_directory);
    return error == ENOENT ? SQLITE_IOERR_DELETE_NOENT : result(error, SQLITE_IOERR_DELETE);
}

static int is_seeded;
static uint64_t seed;

static int vfs_randomness(sqlite3_vfs *self, int count, char *bytes) {
    (void)self;
    if (!is_seeded) return real->xRandomness(real, count, bytes);
    for (int i = 0; i < count; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (char)(seed >> 56);
    }
    return count;
}

void apus_disk_seed_sqlite(uint64_t number) {
    apus_disk_install();
    is_seeded = 1;
    seed = number;
    // SQLite asks for new numbers.
    sqlite3_randomness(0, NULL);
}

static void install(void) {
    sqlite3_initialize();
    real = sqlite3_vfs_find(NULL);
    vfs = *real;
    vfs.zName = "apus-faulty-disk";
    vfs.pNext = NULL;
    vfs.szOsFile = (int)sizeof(struct file) + real->szOsFile;
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    vfs.xRandomness = vfs_randomness;
    sqlite3_vfs_register(&vfs, 1);
}

void apus_disk_install(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
}
