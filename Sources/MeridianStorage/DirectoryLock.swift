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
            let isHeld = errno == EWOULDBLOCK
            let failure = Self.failure("lock \(path)")
            close(descriptor)
            throw isHeld ? MeridianError(.directoryInUse, "\(directory) is open already, here or elsewhere") : failure
        }
    }

    deinit { close(descriptor) }

    /// Whether there is anything in a file of that name.
    static func hasFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_size > 0
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
