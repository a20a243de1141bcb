import MeridianCore

/// A node's two files, opened together: `log.sqlite` and `state.sqlite` in one directory, with a lock on it.
package struct SQLiteStores: Sendable {
    package let log: SQLiteLogStore
    package let state: SQLiteStateStore

    /// Opens the directory, or makes it if it is not there.
    ///
    /// - Throws: `MeridianError` with `.directoryInUse`, `.wrongCluster`, `.newerFormat`, `.notADatabase`,
    ///   `.corruption`, `.diskFull` or `.storageFailed`. Nothing was changed then.
    package static func open(
        directory: String, identity: StoreIdentity, options: SQLiteStoreOptions = SQLiteStoreOptions(),
        files: any FileSystem = POSIXFileSystem()
    ) throws -> SQLiteStores {
        let lock = try files.lock(directory)
        // The log is always made first, and durably. One without the other is not a new directory but a damaged one:
        // an empty log beside a state would forget a vote, and a log that was cut cannot bring back a lost state.
        let hasState = files.hasFile(directory + "/state.sqlite")
        if hasState, !files.hasFile(directory + "/log.sqlite") {
            throw MeridianError(.corruption, "log.sqlite is missing beside state.sqlite")
        }
        let log = try SQLiteLogStore(
            directory: directory, lock: lock, identity: identity, options: options, files: files)
        do {
            if log.isNew { try files.sync(directory: directory) }
            if !hasState, try log.isCompacted() {
                throw MeridianError(.corruption, "state.sqlite is missing beside log.sqlite")
            }
            let state = try SQLiteStateStore(directory: directory, lock: lock, identity: identity, options: options)
            if state.isNew { try files.sync(directory: directory) }
            return SQLiteStores(log: log, state: state)
        } catch {
            try? log.close()
            throw error
        }
    }

    /// Throws the files of a directory away, if there are any, durably.
    /// - Throws: `MeridianError` with `.directoryInUse` or `.storageFailed`; some of the files may be gone then.
    package static func remove(directory: String) throws {
        guard DirectoryLock.exists(directory) else { return }
        let lock = try DirectoryLock(directory: directory)
        try withExtendedLifetime(lock) {
            try DirectoryLock.removeFiles(in: directory)
            try DirectoryLock.sync(directory: directory)
        }
    }

    /// Whether the directory holds a log. Without one a node that ran there would have forgotten what it promised.
    package static func hasLog(directory: String) -> Bool { DirectoryLock.hasFile(directory + "/log.sqlite") }

    /// Writes a small file durably in the place of an older one: a crash leaves the one or the other.
    package static func replaceFile(_ name: String, in directory: String, with text: String) throws {
        try DirectoryLock.write(text, to: directory + "/" + name)
        try DirectoryLock.sync(directory: directory)
    }

    package func close() throws {
        try state.close()
        try log.close()
    }
}
