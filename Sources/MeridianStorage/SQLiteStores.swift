import MeridianCore

/// A node's two files, opened together: `log.sqlite` and `state.sqlite` in one directory, with a lock on it.
package struct SQLiteStores: Sendable {
    package let log: SQLiteLogStore
    package let state: SQLiteStateStore

    /// Opens the directory, or makes it if it is not there.
    ///
    /// - Throws: `MeridianError` with `.directoryInUse`, `.wrongCluster`, `.newerFormat`, `.notADatabase`,
    ///   `.corruption` (also after a write that failed, see `FailureMark`), `.diskFull` or `.storageFailed`. Nothing
    ///   was changed then.
    package static func open(
        directory: String, identity: StoreIdentity, options: SQLiteStoreOptions = SQLiteStoreOptions(),
        files: any FileSystem = POSIXFileSystem()
    ) throws -> SQLiteStores {
        let lock = try files.lock(directory)
        let mark = FailureMark(directory: directory, files: files)
        try mark.check()
        // The log is always made first, and durably. One without the other is not a new directory but a damaged one:
        // an empty log beside a state would forget a vote, and a log that was cut cannot bring back a lost state.
        let hasState = files.hasFile(directory + "/state.sqlite")
        if hasState, !files.hasFile(directory + "/log.sqlite") {
            throw MeridianError(.corruption, "log.sqlite is missing beside state.sqlite")
        }
        let log = try SQLiteLogStore(
            directory: directory, lock: lock, identity: identity, options: options, files: files, mark: mark)
        do {
            // Also of files that are not new: whoever made them may have died before the sync.
            try files.sync(directory: directory)
            if !hasState, try log.isCompacted() {
                throw MeridianError(.corruption, "state.sqlite is missing beside log.sqlite")
            }
            let state = try SQLiteStateStore(
                directory: directory, lock: lock, identity: identity, options: options, mark: mark)
            try files.sync(directory: directory)
            return SQLiteStores(log: log, state: state)
        } catch {
            try? log.close()
            throw error
        }
    }

    /// Throws the files of a directory away, if there are any, durably.
    /// - Throws: `MeridianError` with `.directoryInUse` or `.storageFailed`; some of the files may be gone then.
    package static func remove(directory: String) throws {
        guard DurableFiles.isDirectory(directory) else { return }
        try whileNobodyUses(directory) { try DurableFiles.removeFiles(in: directory) }
    }

    /// Keeps everybody else from opening a directory meanwhile, here and in other processes. It is made if need be.
    /// - Throws: `.directoryInUse` when somebody has it open; what the body throws.
    package static func whileNobodyUses(_ directory: String, _ body: () throws -> Void) throws {
        let lock = try DirectoryLock(directory: directory)
        try withExtendedLifetime(lock, body)
    }

    /// Whether the directory holds a log. Without one a node that ran there would have forgotten what it promised.
    package static func hasLog(directory: String) -> Bool { DurableFiles.hasFile(directory + "/log.sqlite") }

    package func close() throws {
        try state.close()
        try log.close()
    }
}
