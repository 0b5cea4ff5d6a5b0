#pragma once

/// Keeps freed memory for the next burst instead of giving it back to the system and asking for it again,
/// which otherwise happens for every batch of records. `apus_allocator_trim` gives it back when there is
/// reason to.
void apus_allocator_configure(void);

/// Returns unused memory to the system. Takes milliseconds; not for a thread that others wait for.
void apus_allocator_trim(void);
