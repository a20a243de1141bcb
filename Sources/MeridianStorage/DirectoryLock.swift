import MeridianCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Holds a directory for one pair of stores, against other processes and against this one: `flock` on a file in it,
/// which the kernel releases if the process dies.
final class DirectoryLock: Sendable {
    private let descriptor: Int32

    /// Creates the directory if need be.
    /// - Throws: `MeridianError` with `.directoryInUse`, or `.storageFailed` when it cannot be made or opened.
    init(directory: String) throws {
        if mkdir(directory, 0o700) != 0, errno != EEXIST {
            throw Self.failure("create \(directory)")
        }
        let path = directory + "/LOCK"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure("open \(path)") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            // `deinit` closes the descriptor, also now. Closing it here as well would hit whoever got its number since.
            throw errno == EWOULDBLOCK
                ? MeridianError(.directoryInUse, "\(directory) is open already, here or elsewhere")
                : Self.failure("lock \(path)")
        }
    }

    deinit { close(descriptor) }

    /// Whether there is anything in a file of that name.
    static func hasFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_size > 0
    }

    static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0
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
    }

    /// Writes a whole file and syncs it, then gives it its name.
    static func write(_ text: String, to path: String) throws {
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("create \(temporary)") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        let written = bytes.withUnsafeBytes { systemWrite(descriptor, $0.baseAddress, $0.count) }
        guard written == bytes.count, fsync(descriptor) == 0 else { throw failure("write \(temporary)") }
        guard rename(temporary, path) == 0 else { throw failure("rename \(temporary)") }
    }

    /// Makes the names of newly created files durable.
    static func sync(directory: String) throws {
        let descriptor = open(directory, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open \(directory)") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("fsync \(directory)") }
    }

    private static func failure(_ operation: String) -> MeridianError {
        let reason = String(cString: strerror(errno))
        return MeridianError(errno == ENOSPC ? .diskFull : .storageFailed, "\(operation): \(reason)")
    }
}

/// `write(2)`, which the method of that name hides.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}
