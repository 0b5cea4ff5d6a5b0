#define _GNU_SOURCE
#include "disk.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 512 };

/// A change of names that was not synced. Names become durable in the order of their changes, as in a file
/// system with one journal.
struct renaming {
    /// Made: only `to`. Deleted: only `from`. Renamed: both. A directory: `to`, and no subject.
    char *from;
    char *to;
    struct node *subject;
    /// What had the name `to` before, or was deleted; it waits among the graves.
    struct node *victim;
};

struct apus_disk {
    char *directory;
    size_t directory_length;
    uint64_t grave_count;
    struct node *nodes;
    struct renaming *renamings;
    size_t renaming_count;
    enum apus_disk_fault fault;
    uint64_t fault_after;
    int is_full;
    int64_t die_after;
    int is_dead;
    int has_failed;
    int is_lying;
    uint64_t operations;
    uint64_t trace;
    struct apus_disk *next;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static apus_disk *disks;

void disk_lock(void) { pthread_mutex_lock(&mutex); }
void disk_unlock(void) { pthread_mutex_unlock(&mutex); }

static void *must(void *memory) {
    if (!memory) abort();
    return memory;
}

static uint64_t draw(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

apus_disk *disk_of(const char *path) {
    if (!path) return NULL;
    for (apus_disk *disk = disks; disk; disk = disk->next) {
        if (strncmp(path, disk->directory, disk->directory_length) == 0) {
            char end = path[disk->directory_length];
            if (end == '/' || end == 0) return disk;
        }
    }
    return NULL;
}

int apus_disk_is_dead(const apus_disk *disk) { return disk->is_dead; }

// MARK: Files

static int64_t size_of(const struct node *node) {
    struct stat status;
    return fstat(node->descriptor, &status) == 0 ? (int64_t)status.st_size : 0;
}

struct node *node_at(apus_disk *disk, const char *path) {
    struct node **end = &disk->nodes;
    for (; *end; end = &(*end)->next) {
        if (!(*end)->is_gone && strcmp((*end)->path, path) == 0) return *end;
    }
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) return NULL;
    struct node *node = must(calloc(1, sizeof *node));
    node->disk = disk;
    node->path = must(strdup(path));
    node->descriptor = descriptor;
    return *end = node;
}

static void forget_edits(struct node *node) {
    for (size_t i = 0; i < node->edit_count; i++) {
        free(node->edits[i].old_bytes);
        free(node->edits[i].new_bytes);
    }
    free(node->edits);
    node->edits = NULL;
    node->edit_count = 0;
}

static void free_if_unused(struct node *node) {
    if (!node->is_gone || node->open_count > 0) return;
    struct node **link = &node->disk->nodes;
    while (*link != node) link = &(*link)->next;
    *link = node->next;
    forget_edits(node);
    close(node->descriptor);
    free(node->path);
    free(node);
}

void node_opened(struct node *node) { node->open_count++; }

void node_closed(struct node *node) {
    node->open_count--;
    free_if_unused(node);
}

static int put(int descriptor, const unsigned char *bytes, int64_t count, int64_t offset) {
    while (count > 0) {
        ssize_t done = pwrite(descriptor, bytes, (size_t)count, offset);
        if (done <= 0) return -1;
        bytes += done;
        count -= done;
        offset += done;
    }
    return 0;
}

static struct edit *new_edit(struct node *node, int64_t offset, int64_t old_count) {
    node->edits = must(realloc(node->edits, (node->edit_count + 1) * sizeof *node->edits));
    struct edit *edit = &node->edits[node->edit_count++];
    memset(edit, 0, sizeof *edit);
    edit->offset = offset;
    edit->old_size = size_of(node);
    if (old_count > edit->old_size - offset) old_count = edit->old_size - offset;
    if (old_count > 0) {
        edit->old_bytes = must(malloc((size_t)old_count));
        edit->old_count = old_count;
        if (pread(node->descriptor, edit->old_bytes, (size_t)old_count, offset) != old_count) abort();
    }
    return edit;
}

static int edit_write(struct node *node, const void *bytes, int64_t count, int64_t offset) {
    struct edit *edit = new_edit(node, offset, count);
    edit->is_write = 1;
    edit->new_bytes = must(malloc((size_t)(count > 0 ? count : 1)));
    edit->new_count = count;
    memcpy(edit->new_bytes, bytes, (size_t)count);
    return put(node->descriptor, bytes, count, offset);
}

int node_write(struct node *node, const void *bytes, int64_t count, int64_t offset) {
    int is_longer = offset + count > size_of(node);
    enum outcome outcome =
        disk_decide(node->disk, OP_WRITE, node->path, offset, is_longer ? count : -count);
    switch (outcome) {
    case GO: return edit_write(node, bytes, count, offset) == 0 ? 0 : errno;
    case FAIL_FULL: return ENOSPC;
    case FAIL_SHORT: {
        // Whole sectors only, as far as the middle.
        int64_t end = (offset + count / 2) / PIECE * PIECE;
        if (end > offset) edit_write(node, bytes, end - offset, offset);
        return EIO;
    }
    default: return EIO;
    }
}

int node_truncate(struct node *node, int64_t size) {
    if (disk_decide(node->disk, OP_TRUNCATE, node->path, size, 0) != GO) return EIO;
    new_edit(node, size, INT64_MAX / 2);
    return ftruncate(node->descriptor, size) == 0 ? 0 : errno;
}

/// Takes back some of what was not synced.
static void lose(struct node *node, uint64_t *random) {
    // How many pieces of eight are kept: none, all, or some.
    unsigned share = (unsigned)(draw(random) % 4);
    unsigned kept_of_eight = share == 0 ? 0 : share == 1 ? 8 : (unsigned)(1 + draw(random) % 7);
    for (size_t i = node->edit_count; i-- > 0;) {
        struct edit *edit = &node->edits[i];
        if (put(node->descriptor, edit->old_bytes, edit->old_count, edit->offset) != 0) abort();
        if (ftruncate(node->descriptor, edit->old_size) != 0) abort();
    }
    for (size_t i = 0; i < node->edit_count; i++) {
        struct edit *edit = &node->edits[i];
        if (!edit->is_write) {
            if (draw(random) % 8 < kept_of_eight && ftruncate(node->descriptor, edit->offset) != 0) abort();
            continue;
        }
        for (int64_t at = 0; at < edit->new_count;) {
            int64_t length = PIECE - (edit->offset + at) % PIECE;
            if (length > edit->new_count - at) length = edit->new_count - at;
            if (draw(random) % 8 < kept_of_eight) {
                if (put(node->descriptor, edit->new_bytes + at, length, edit->offset + at) != 0) abort();
            }
            at += length;
        }
    }
    forget_edits(node);
}

int node_sync(struct node *node, int with_name) {
    apus_disk *disk = node->disk;
    if (disk_decide(disk, OP_SYNC, node->path, 0, 0) != GO) {
        uint64_t random = disk->operations;
        if (!disk->is_dead) lose(node, &random);
        return EIO;
    }
    if (disk->is_lying) return 0;
    forget_edits(node);
    if (!with_name) return 0;
    char *directory = must(strdup(node->path));
    *strrchr(directory, '/') = 0;
    disk_sync_names(disk, directory);
    free(directory);
    return 0;
}

// MARK: Names

static void add_renaming(
    apus_disk *disk, const char *from, const char *to, struct node *subject, struct node *victim
) {
    size_t bytes = (disk->renaming_count + 1) * sizeof *disk->renamings;
    disk->renamings = must(realloc(disk->renamings, bytes));
    disk->renamings[disk->renaming_count++] = (struct renaming){
        .from = from ? must(strdup(from)) : NULL, .to = to ? must(strdup(to)) : NULL, .subject = subject,
        .victim = victim};
}

static void set_path(struct node *node, const char *path) {
    char *copy = must(strdup(path));
    free(node->path);
    node->path = copy;
}

static struct node *bury(apus_disk *disk, const char *path) {
    struct node *node = node_at(disk, path);
    if (!node) return NULL;
    char grave[4096];
    snprintf(grave, sizeof grave, "%s.graves/%llu", disk->directory, (unsigned long long)disk->grave_count++);
    if (rename(path, grave) != 0) abort();
    set_path(node, grave);
    return node;
}

static void discard(struct node *node) {
    unlink(node->path);
    node->is_gone = 1;
    free_if_unused(node);
}

/// The first changes of names cannot be taken back any more.
static void settle_names(apus_disk *disk, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct renaming *renaming = &disk->renamings[i];
        if (renaming->victim) discard(renaming->victim);
        free(renaming->from);
        free(renaming->to);
    }
    disk->renaming_count -= count;
    memmove(disk->renamings, disk->renamings + count, disk->renaming_count * sizeof *disk->renamings);
}

static int is_in(const char *path, const char *directory) {
    if (!path) return 0;
    size_t length = (size_t)(strrchr(path, '/') - path);
    return strlen(directory) == length && strncmp(path, directory, length) == 0;
}

int disk_sync_names(apus_disk *disk, const char *directory) {
    size_t count = 0;
    for (size_t i = 0; i < disk->renaming_count; i++) {
        struct renaming *renaming = &disk->renamings[i];
        if (is_in(renaming->from, directory) || is_in(renaming->to, directory)) count = i + 1;
    }
    settle_names(disk, count);
    return 0;
}

static void take_back_name(apus_disk *disk) {
    struct renaming *renaming = &disk->renamings[--disk->renaming_count];
    if (renaming->from && renaming->to) {
        if (rename(renaming->to, renaming->from) != 0) abort();
        set_path(renaming->subject, renaming->from);
    } else if (renaming->to && renaming->subject) {
        discard(renaming->subject);
    } else if (renaming->to) {
        // Not empty only if SQLite keeps shared memory there, which no recovery looks at.
        rmdir(renaming->to);
    }
    if (renaming->victim) {
        const char *name = renaming->to ? renaming->to : renaming->from;
        if (rename(renaming->victim->path, name) != 0) abort();
        set_path(renaming->victim, name);
    }
    free(renaming->from);
    free(renaming->to);
}

int disk_may_create(apus_disk *disk, const char *path) {
    switch (disk_decide(disk, OP_NAME, path, 0, 1)) {
    case GO: return 0;
    case FAIL_FULL: return ENOSPC;
    default: return EIO;
    }
}

void disk_created(apus_disk *disk, struct node *node) { add_renaming(disk, NULL, node->path, node, NULL); }

int disk_unlink(apus_disk *disk, const char *path) {
    if (access(path, F_OK) != 0) return ENOENT;
    if (disk_decide(disk, OP_NAME, path, 0, 0) != GO) return EIO;
    add_renaming(disk, path, NULL, NULL, bury(disk, path));
    return 0;
}

// MARK: Faults

static void note(apus_disk *disk, uint64_t value) {
    disk->trace = (disk->trace ^ value) * 0x100000001B3u;
    disk->trace ^= disk->trace >> 29;
}

static int can_show(enum apus_disk_fault fault, enum operation operation, int is_longer) {
    switch (fault) {
    case APUS_DISK_WRITE_ERROR: return operation == OP_WRITE || operation == OP_TRUNCATE;
    case APUS_DISK_SHORT_WRITE: return operation == OP_WRITE;
    case APUS_DISK_SYNC_ERROR: return operation == OP_SYNC;
    case APUS_DISK_FULL: return is_longer;
    default: return 0;
    }
}

/// - Parameter b: above 0 if the file becomes longer or a name is made.
enum outcome disk_decide(apus_disk *disk, enum operation operation, const char *path, int64_t a, int64_t b) {
    int is_longer = (operation == OP_WRITE || operation == OP_NAME) && b > 0;
    disk->operations++;
    note(disk, operation);
    note(disk, (uint64_t)a);
    note(disk, (uint64_t)b);
    for (const char *c = path + disk->directory_length; *c; c++) note(disk, (uint64_t)*c);
    if (!disk->is_dead && disk->die_after >= 0 && disk->die_after-- == 0) disk->is_dead = 1;
    if (disk->is_dead) {
        disk->has_failed = 1;
        return FAIL;
    }
    if (can_show(disk->fault, operation, is_longer) && disk->fault_after-- == 0) {
        enum apus_disk_fault fault = disk->fault;
        disk->fault = APUS_DISK_NO_FAULT;
        disk->has_failed = 1;
        if (fault == APUS_DISK_SHORT_WRITE) return FAIL_SHORT;
        if (fault != APUS_DISK_FULL) return FAIL;
        disk->is_full = 1;
    }
    return disk->is_full && is_longer ? FAIL_FULL : GO;
}

void apus_disk_fail(apus_disk *disk, enum apus_disk_fault fault, uint64_t after) {
    disk_lock();
    disk->fault = fault;
    disk->fault_after = after;
    disk_unlock();
}

void apus_disk_die(apus_disk *disk, uint64_t after) {
    disk_lock();
    disk->die_after = (int64_t)after;
    disk_unlock();
}

void apus_disk_heal(apus_disk *disk) {
    disk_lock();
    disk->fault = APUS_DISK_NO_FAULT;
    disk->die_after = -1;
    disk->is_full = disk->is_dead = disk->has_failed = 0;
    disk_unlock();
}

int apus_disk_has_failed(const apus_disk *disk) { return disk->has_failed; }

int apus_disk_is_full(const apus_disk *disk) { return disk->is_full; }

void apus_disk_set_lying(apus_disk *disk, int is_lying) {
    disk_lock();
    disk->is_lying = is_lying;
    disk_unlock();
}

// MARK: Disks

apus_disk *apus_disk_create(const char *directory) {
    apus_disk_install();
    apus_disk *disk = must(calloc(1, sizeof *disk));
    disk->directory = must(strdup(directory));
    disk->directory_length = strlen(directory);
    disk->die_after = -1;
    char graves[4096];
    snprintf(graves, sizeof graves, "%s.graves", directory);
    mkdir(graves, 0755);
    disk_lock();
    disk->next = disks;
    disks = disk;
    disk_unlock();
    return disk;
}

void apus_disk_destroy(apus_disk *disk) {
    disk_lock();
    apus_disk **link = &disks;
    while (*link != disk) link = &(*link)->next;
    *link = disk->next;
    settle_names(disk, disk->renaming_count);
    int is_in_use = 0;
    for (struct node *node = disk->nodes, *next; node; node = next) {
        next = node->next;
        is_in_use = is_in_use || node->open_count > 0;
        node->is_gone = 1;
        free_if_unused(node);
    }
    disk->is_dead = 1;
    disk_unlock();
    // Whoever still has a file open finds a dead disk.
    if (is_in_use) return;
    free(disk->renamings);
    free(disk->directory);
    free(disk);
}

int apus_disk_open_files(const apus_disk *disk) {
    disk_lock();
    int count = 0;
    for (struct node *node = disk->nodes; node; node = node->next) count += node->open_count;
    disk_unlock();
    return count;
}

void apus_disk_crash(apus_disk *disk, uint64_t seed) {
    uint64_t random = seed;
    disk_lock();
    size_t count = disk->renaming_count;
    uint64_t share = draw(&random) % 4;
    size_t kept = share == 0 ? 0 : share == 1 ? count : (size_t)(draw(&random) % (count + 1));
    while (disk->renaming_count > kept) take_back_name(disk);
    settle_names(disk, disk->renaming_count);
    for (struct node *node = disk->nodes; node; node = node->next) lose(node, &random);
    disk_unlock();
}

int64_t apus_disk_rot(apus_disk *disk, const char *path, uint64_t seed) {
    disk_lock();
    struct node *node = node_at(disk, path);
    int64_t size = node ? size_of(node) : 0;
    int64_t place = -1;
    if (size > 0) {
        place = (int64_t)(draw(&seed) % (uint64_t)size);
        unsigned char byte;
        if (pread(node->descriptor, &byte, 1, place) != 1) abort();
        byte ^= (unsigned char)(1u << (draw(&seed) % 8));
        if (put(node->descriptor, &byte, 1, place) != 0) abort();
    }
    disk_unlock();
    return place;
}

uint64_t apus_disk_operations(const apus_disk *disk) { return disk->operations; }
uint64_t apus_disk_trace(const apus_disk *disk) { return disk->trace; }

// MARK: What the stores write themselves

enum { DESCRIPTORS = 65536 };
static struct node *by_descriptor[DESCRIPTORS];

static struct node *node_of(int descriptor) {
    return descriptor >= 0 && descriptor < DESCRIPTORS ? by_descriptor[descriptor] : NULL;
}

static int answer(int error) {
    errno = error;
    return error ? -1 : 0;
}

static int open_on(apus_disk *disk, const char *path, int flags) {
    int is_new = access(path, F_OK) != 0;
    int error = disk->is_dead ? EIO : is_new && (flags & O_CREAT) ? disk_may_create(disk, path) : 0;
    if (error) return answer(error);
    // Also to read what is going to be overwritten.
    int descriptor = open(path, (flags & ~(O_WRONLY | O_TRUNC)) | O_RDWR, 0644);
    if (descriptor < 0) return -1;
    struct node *node = node_at(disk, path);
    if (!node || descriptor >= DESCRIPTORS) abort();
    if (is_new) disk_created(disk, node);
    if ((flags & O_TRUNC) && size_of(node) > 0) error = node_truncate(node, 0);
    if (error) {
        close(descriptor);
        return answer(error);
    }
    node_opened(node);
    by_descriptor[descriptor] = node;
    return descriptor;
}

int apus_file_open(const char *path, int flags) {
    disk_lock();
    apus_disk *disk = disk_of(path);
    int descriptor = disk ? open_on(disk, path, flags) : 0;
    disk_unlock();
    return disk ? descriptor : open(path, flags, 0644);
}

int apus_file_close(int descriptor) {
    disk_lock();
    struct node *node = node_of(descriptor);
    if (node) {
        by_descriptor[descriptor] = NULL;
        node_closed(node);
    }
    disk_unlock();
    return close(descriptor);
}

int64_t apus_file_write(int descriptor, const void *bytes, size_t count, int64_t offset) {
    disk_lock();
    struct node *node = node_of(descriptor);
    int error = node ? node_write(node, bytes, (int64_t)count, offset) : 0;
    disk_unlock();
    if (!node) return pwrite(descriptor, bytes, count, offset);
    return answer(error) == 0 ? (int64_t)count : -1;
}

int apus_file_sync(int descriptor, int is_whole) {
    disk_lock();
    struct node *node = node_of(descriptor);
    int error = node ? node_sync(node, 0) : 0;
    disk_unlock();
    if (node) return answer(error);
#ifdef __APPLE__
    return fsync(descriptor);
#else
    return is_whole ? fsync(descriptor) : fdatasync(descriptor);
#endif
}

int apus_file_sync_directory(const char *path) {
    disk_lock();
    apus_disk *disk = disk_of(path);
    int error = 0;
    if (disk && disk_decide(disk, OP_SYNC, path, 1, 0) != GO) error = EIO;
    if (disk && !error && !disk->is_lying) disk_sync_names(disk, path);
    disk_unlock();
    if (disk) return answer(error);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    int code = fsync(descriptor);
    close(descriptor);
    return code;
}

int apus_file_make_directory(const char *path) {
    disk_lock();
    apus_disk *disk = disk_of(path);
    int is_new = disk && access(path, F_OK) != 0;
    int error = is_new ? disk_may_create(disk, path) : disk ? EEXIST : 0;
    if (is_new && !error) {
        error = mkdir(path, 0755) == 0 ? 0 : errno;
        if (!error) add_renaming(disk, NULL, path, NULL, NULL);
    }
    disk_unlock();
    return disk ? answer(error) : mkdir(path, 0755);
}

int apus_file_rename(const char *path, const char *name) {
    disk_lock();
    apus_disk *disk = disk_of(path);
    int error = 0;
    if (disk && disk_decide(disk, OP_NAME, path, 2, 0) != GO) error = EIO;
    if (disk && !error) {
        struct node *subject = node_at(disk, path);
        if (subject) {
            struct node *victim = bury(disk, name);
            if (rename(path, name) != 0) abort();
            set_path(subject, name);
            add_renaming(disk, path, name, subject, victim);
        } else {
            error = ENOENT;
        }
    }
    disk_unlock();
    return disk ? answer(error) : rename(path, name);
}

int apus_file_unlink(const char *path) {
    disk_lock();
    apus_disk *disk = disk_of(path);
    int error = disk ? disk_unlink(disk, path) : 0;
    disk_unlock();
    return disk ? answer(error) : unlink(path);
}
