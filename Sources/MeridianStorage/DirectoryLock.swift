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

    /// Creates the directory if need be, durably.
    /// - Throws: `MeridianError` with `.directoryInUse`, or `.storageFailed` when it cannot be made or opened.
    init(directory: String) throws {
        try DurableFiles.makeDirectory(directory)
        let path = directory + "/LOCK"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw DurableFiles.failure("open \(path)") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            // `deinit` closes the descriptor, also now. Closing it here as well would hit whoever got its number since.
            throw errno == EWOULDBLOCK
                ? MeridianError(.directoryInUse, "\(directory) is open already, here or elsewhere")
                : DurableFiles.failure("lock \(path)")
        }
    }

    deinit { close(descriptor) }
}
