import Synchronization

/// A store without threads (`StoreConfiguration.isStepped`): everything happens inside of these calls and on
/// the caller's thread, callbacks too, so that whoever decides what is called when decides everything.
///
/// None of them may be called from a callback of the store.
extension PartitionStore {
    /// What the journal's thread would do next: a group commit with its callback, a read with its answer, or
    /// what waits for a quiet moment.
    /// - Returns: whether there was anything to do.
    package func stepJournal() -> Bool {
        checkSteps()
        guard case .worked = lane.step() else { return false }
        return true
    }

    /// What the apply thread would do next.
    /// - Parameter isRound: `applyInterval` is over, so everything committed is applied; otherwise what is
    ///   urgent.
    /// - Returns: whether there was anything to do.
    package func stepTables(isRound: Bool) -> Bool {
        checkSteps()
        guard case .worked = applier.step(isRound: isRound) else { return false }
        return true
    }

    /// The next piece of the snapshots that are being read or written.
    /// - Returns: whether there was anything to do.
    package func stepSnapshots() -> Bool {
        checkSteps()
        return snapshots.queue.step()
    }

    /// Ends as a process that crashes: lets go of all files and of the directory, commits nothing, and tells
    /// nobody. What the operating system holds of written files stays.
    package func abandon() {
        checkSteps()
        life.withLock { $0.isClosed = true }
        snapshots.queue.abandon()
        snapshots.incoming.abandon()
        lane.abandon()
        applier.tables.end()
        lock.release()
    }

    private func checkSteps() {
        // A thread that does the same would make the steps meaningless.
        precondition(isStepped, "the store has threads of its own")
    }
}
