#pragma once
#include <sqlite3.h>

/// SQLITE_TRANSIENT is a cast macro that Swift does not import: SQLite copies the bytes before it returns.
static inline int apus_bind_blob_copy(sqlite3_stmt *statement, int index, const void *bytes, int count) {
    return sqlite3_bind_blob(statement, index, bytes, count, SQLITE_TRANSIENT);
}
static inline int apus_bind_text_copy(sqlite3_stmt *statement, int index, const char *bytes, int count) {
    return sqlite3_bind_text(statement, index, bytes, count, SQLITE_TRANSIENT);
}

/// sqlite3_db_config is variadic, which Swift does not import.
/// Leaves the write-ahead log as it is when the last connection closes; the next open reads it.
static inline int apus_keep_log_on_close(sqlite3 *database) {
    return sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0);
}
/// Sets the connection's pool of small allocations: `count` slots of `size` bytes.
static inline int apus_set_lookaside(sqlite3 *database, int size, int count) {
    return sqlite3_db_config(database, SQLITE_DBCONFIG_LOOKASIDE, (void *)0, size, count);
}
