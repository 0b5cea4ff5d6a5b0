#pragma once
#include "faulty_disk.h"

/// A write or a truncation that was not synced, with what it took away.
struct edit {
    int is_write;
    int64_t offset;
    int64_t old_size;
    /// For a truncation: what it cut off.
    unsigned char *old_bytes;
    int64_t old_count;
    unsigned char *new_bytes;
    int64_t new_count;
};

struct node {
    apus_disk *disk;
    char *path;
    /// For reading and writing, whatever happens to the name.
    int descriptor;
    int open_count;
    /// Has no name any more, not even one that a crash could bring back.
    int is_gone;
    struct edit *edits;
    size_t edit_count;
    struct node *next;
};

enum operation { OP_WRITE, OP_TRUNCATE, OP_SYNC, OP_NAME };
enum outcome { GO, FAIL, FAIL_FULL, FAIL_SHORT };

void disk_lock(void);
void disk_unlock(void);
apus_disk *disk_of(const char *path);

// All of these with the lock held.
struct node *node_at(apus_disk *disk, const char *path);
void node_opened(struct node *node);
void node_closed(struct node *node);
/// 0, or an error number. `is_new`: the file was made by the caller just now.
enum outcome disk_decide(apus_disk *disk, enum operation operation, const char *path, int64_t a, int64_t b);
int node_write(struct node *node, const void *bytes, int64_t count, int64_t offset);
int node_truncate(struct node *node, int64_t size);
int node_sync(struct node *node, int with_name);
int disk_may_create(apus_disk *disk, const char *path);
void disk_created(apus_disk *disk, struct node *node);
int disk_unlink(apus_disk *disk, const char *path);
int disk_sync_names(apus_disk *disk, const char *directory);
