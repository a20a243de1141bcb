import MeridianCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Files and folders past SQLite that must outlive a power cut: their bytes and their names.
///
/// A name is durable when the folder that holds it has been synced, so whoever makes one syncs the folder, also when it
/// is found there: whoever made it may have died before its own sync.
package enum DurableFiles {
    /// Makes a directory, and those above it that are missing.
    /// - Throws: `MeridianError` with `.storageFailed` or `.diskFull`.
    package static func makeDirectory(_ path: String) throws {
        let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        let parent = parent(of: path)
        if mkdir(path, 0o700) != 0 {
            let reason = errno
            if reason == ENOENT, parent != path {
                try makeDirectory(parent)
                return try makeDirectory(path)
            }
            guard reason == EEXIST, isDirectory(path) else { throw failure("create \(path)", reason) }
        }
        // A folder above that is not ours to read was not made by us, either.
        if access(parent, R_OK) == 0 { try sync(directory: parent) }
    }

    /// Writes a small file in the place of an older one: a crash leaves the one or the other.
    /// - Throws: `MeridianError` with `.storageFailed` or `.diskFull`.
    package static func replace(_ name: String, in directory: String, with text: String) throws {
        let path = directory + "/" + name
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("create \(temporary)") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        let written = bytes.withUnsafeBytes { systemWrite(descriptor, $0.baseAddress, $0.count) }
        guard written == bytes.count, isSynced(descriptor) else { throw failure("write \(temporary)") }
        guard rename(temporary, path) == 0 else { throw failure("rename \(temporary)") }
        try sync(directory: directory)
    }

    /// Makes the names in a directory durable.
    package static func sync(directory: String) throws {
        let descriptor = open(directory, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open \(directory)") }
        defer { close(descriptor) }
        guard isSynced(descriptor) else { throw failure("fsync \(directory)") }
    }

    /// Whether there is anything in a file of that name.
    static func hasFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_size > 0
    }

    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Removes what our stores put into a directory, except for the lock.
    static func removeFiles(in directory: String) throws {
        guard let entries = opendir(directory) else { throw failure("open \(directory)") }
        defer { closedir(entries) }
        var names: [String] = []
        while let entry = readdir(entries) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != "..", name != "LOCK" { names.append(name) }
        }
        for name in names.sorted() where unlink(directory + "/" + name) != 0 {
            throw failure("remove \(directory)/\(name)")
        }
        try sync(directory: directory)
    }

    static func failure(_ operation: String, _ reason: Int32 = errno) -> MeridianError {
        MeridianError(
            reason == ENOSPC ? .diskFull : .storageFailed, "\(operation): \(String(cString: strerror(reason)))")
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// On Apple's systems `fsync` leaves the bytes in the drive's own cache, which a power cut empties.
    private static func isSynced(_ descriptor: Int32) -> Bool {
        #if canImport(Darwin)
            if fcntl(descriptor, F_FULLFSYNC) == 0 { return true }
            // Network file systems have no such call.
            guard errno == ENOTSUP || errno == EINVAL || errno == ENOTTY else { return false }
        #endif
        return fsync(descriptor) == 0
    }
}

/// `write(2)`, which the method of that name hides.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}
