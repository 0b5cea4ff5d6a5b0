#pragma once
#include <stddef.h>
#include <stdint.h>

/// Directories whose files behave as on a disk that loses power, fails, fills up or rots.
///
/// What SQLite writes goes through a VFS that is the process's default; what the stores write themselves goes
/// through the `apus_file_` functions. Paths in no registered directory pass through untouched. Until a file
/// is synced, its old contents are kept, so that `apus_disk_crash` can take back any part of what was
/// written.
typedef struct apus_disk apus_disk;

/// Makes the VFS the default one, once. Connections that are open already are not touched.
void apus_disk_install(void);

/// Registers a directory that exists, by its real path, without a slash at its end. What is in it is synced.
apus_disk *apus_disk_create(const char *directory);
/// What is still open fails from now on. The files stay.
void apus_disk_destroy(apus_disk *disk);

/// How many files are open.
int apus_disk_open_files(const apus_disk *disk);

/// A power failure: of each write that was not synced, each piece of 512 bytes is kept or taken back; lengths
/// too; and new, changed and deleted names from some moment on. Nothing may be open.
void apus_disk_crash(apus_disk *disk, uint64_t seed);

enum apus_disk_fault {
    APUS_DISK_NO_FAULT,
    /// A write fails and writes nothing.
    APUS_DISK_WRITE_ERROR,
    /// A write fails after a part of it.
    APUS_DISK_SHORT_WRITE,
    /// A sync fails, and parts of what was to be synced are gone for good; the next sync succeeds.
    APUS_DISK_SYNC_ERROR,
    /// From then on, nothing can become longer and no file can be made.
    APUS_DISK_FULL,
};
/// Lets one operation fail: the first that can, after so many others that could have.
void apus_disk_fail(apus_disk *disk, enum apus_disk_fault fault, uint64_t after);
/// After so many operations of any kind, each one fails, and reads too.
void apus_disk_die(apus_disk *disk, uint64_t after);
/// No faults any more; those that were ordered are forgotten.
void apus_disk_heal(apus_disk *disk);
/// Whether a fault has shown itself since the last time the disk was healed.
int apus_disk_has_failed(const apus_disk *disk);
/// Whether every operation fails.
int apus_disk_is_dead(const apus_disk *disk);
/// Whether there is no room left.
int apus_disk_is_full(const apus_disk *disk);
/// A sync succeeds and syncs nothing.
void apus_disk_set_lying(apus_disk *disk, int is_lying);
/// Flips a bit of a file that is synced. Returns where, or -1 if the file is empty or not there.
int64_t apus_disk_rot(apus_disk *disk, const char *path, uint64_t seed);

/// Writes, truncations, syncs and changes of names so far.
uint64_t apus_disk_operations(const apus_disk *disk);
/// Sums up all of them in their order, without the bytes.
uint64_t apus_disk_trace(const apus_disk *disk);
/// The numbers that SQLite draws in this process follow from the seed from now on.
void apus_disk_seed_sqlite(uint64_t seed);

/// The calls of the operating system, for files that SQLite does not write.
int apus_file_open(const char *path, int flags);
int apus_file_close(int descriptor);
int64_t apus_file_write(int descriptor, const void *bytes, size_t count, int64_t offset);
int apus_file_sync(int descriptor, int is_whole);
int apus_file_sync_directory(const char *path);
int apus_file_make_directory(const char *path);
int apus_file_rename(const char *path, const char *name);
int apus_file_unlink(const char *path);
