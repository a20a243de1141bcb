import GRDBSQLite
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// SQLite's real code over `SimulatedDisk`: a VFS whose files are a disk's.
///
/// GRDB opens files with SQLite's default VFS and cannot be told another, so this one becomes the default. Paths under
/// `root` are simulated; everything else goes to the VFS that was the default before, whose files SQLite then calls
/// directly. What is mounted is looked up when a file is opened, not when it is used.
enum SimulatedVFS {
    static let root = "/meridian-simulated/"

    private static let mounts = Mutex<(disks: [String: SimulatedDisk], next: Int)>(([:], 0))

    /// Makes a disk reachable by paths.
    /// - Returns: the directory, without a slash at its end.
    static func mount(_ disk: SimulatedDisk) -> String {
        _ = isInstalled
        return mounts.withLock { mounts in
            mounts.next += 1
            let directory = root + String(mounts.next)
            mounts.disks[directory] = disk
            return directory
        }
    }

    static func unmount(_ directory: String) { mounts.withLock { _ = $0.disks.removeValue(forKey: directory) } }

    /// The disk and the name on it; `nil` for what is not simulated.
    private static func resolve(_ path: UnsafePointer<CChar>?) -> (disk: SimulatedDisk, name: String)? {
        guard let path, strncmp(path, root, root.utf8.count) == 0 else { return nil }
        let text = String(cString: path)
        guard let slash = text.lastIndex(of: "/") else { return nil }
        guard let disk = mounts.withLock({ $0.disks[String(text[..<slash])] }) else { return nil }
        return (disk, String(text[text.index(after: slash)...]))
    }

    // MARK: The VFS

    /// The default before ours.
    nonisolated(unsafe) private static let system = sqlite3_vfs_find(nil)!

    private static let isInstalled: Bool = {
        let vfs = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        vfs.initialize(to: system.pointee)
        vfs.pointee.iVersion = 2
        vfs.pointee.pNext = nil
        vfs.pointee.szOsFile = max(system.pointee.szOsFile, Int32(MemoryLayout<FileLayout>.size))
        vfs.pointee.zName = UnsafePointer(strdup("meridian-simulated"))
        vfs.pointee.xOpen = { _, path, file, flags, outFlags in
            guard let (disk, name) = SimulatedVFS.resolve(path) else {
                return SimulatedVFS.system.pointee.xOpen(SimulatedVFS.system, path, file, flags, outFlags)
            }
            return SimulatedVFS.open(disk, name, file!, flags, outFlags)
        }
        vfs.pointee.xDelete = { _, path, syncs in
            guard let (disk, name) = SimulatedVFS.resolve(path) else {
                return SimulatedVFS.system.pointee.xDelete(SimulatedVFS.system, path, syncs)
            }
            disk.remove(name)
            return SQLITE_OK
        }
        vfs.pointee.xAccess = { _, path, flags, result in
            guard let (disk, name) = SimulatedVFS.resolve(path) else {
                return SimulatedVFS.system.pointee.xAccess(SimulatedVFS.system, path, flags, result)
            }
            let file = disk.files[name]
            // As the system's: an empty file does not exist.
            result!.pointee = flags == SQLITE_ACCESS_EXISTS ? (file.map { $0.bytes.isEmpty ? 0 : 1 } ?? 0) : 1
            return SQLITE_OK
        }
        vfs.pointee.xFullPathname = { _, path, count, buffer in
            guard SimulatedVFS.resolve(path) != nil else {
                return SimulatedVFS.system.pointee.xFullPathname(SimulatedVFS.system, path, count, buffer)
            }
            let length = strlen(path!)
            guard length < Int(count) else { return SQLITE_CANTOPEN }
            memcpy(buffer!, path!, length + 1)
            return SQLITE_OK
        }
        vfs.pointee.xRandomness = { _, count, buffer in
            SimulatedVFS.system.pointee.xRandomness(SimulatedVFS.system, count, buffer)
        }
        vfs.pointee.xSleep = { _, microseconds in
            SimulatedVFS.system.pointee.xSleep(SimulatedVFS.system, microseconds)
        }
        vfs.pointee.xCurrentTime = { _, time in
            SimulatedVFS.system.pointee.xCurrentTime(SimulatedVFS.system, time)
        }
        vfs.pointee.xCurrentTimeInt64 = { _, time in
            SimulatedVFS.system.pointee.xCurrentTimeInt64(SimulatedVFS.system, time)
        }
        vfs.pointee.xGetLastError = { _, count, buffer in
            SimulatedVFS.system.pointee.xGetLastError(SimulatedVFS.system, count, buffer)
        }
        vfs.pointee.xDlOpen = nil
        vfs.pointee.xDlError = nil
        vfs.pointee.xDlSym = nil
        vfs.pointee.xDlClose = nil
        let code = sqlite3_vfs_register(vfs, 1)
        precondition(code == SQLITE_OK, "the simulated VFS is refused: \(code)")
        return true
    }()

    // MARK: Files

    /// What SQLite's memory for a file holds.
    private struct FileLayout {
        var base: sqlite3_file
        var handle: Unmanaged<Handle>?
    }

    /// One connection's view of a file.
    private final class Handle {
        let disk: SimulatedDisk
        let file: SimulatedDisk.File
        let epoch: Int
        let number: Int
        var memory: SimulatedSharedMemory?
        var keepsWriteAheadLog: Int32 = 0

        private static let count = Atomic<Int>(0)

        init(_ disk: SimulatedDisk, _ file: SimulatedDisk.File) {
            self.disk = disk
            self.file = file
            epoch = disk.epoch
            number = Self.count.wrappingAdd(1, ordering: .relaxed).newValue
        }

        /// A handle of a process that lost its machine does nothing any more.
        var isAlive: Bool { epoch == disk.epoch }
    }

    private static func open(
        _ disk: SimulatedDisk, _ name: String, _ file: UnsafeMutablePointer<sqlite3_file>, _ flags: Int32,
        _ outFlags: UnsafeMutablePointer<Int32>?
    ) -> Int32 {
        file.pointee.pMethods = nil
        guard let found = disk.file(name, isCreated: flags & SQLITE_OPEN_CREATE != 0) else { return SQLITE_CANTOPEN }
        outFlags?.pointee = flags
        let layout = UnsafeMutableRawPointer(file).bindMemory(to: FileLayout.self, capacity: 1)
        layout.pointee.handle = Unmanaged.passRetained(Handle(disk, found))
        layout.pointee.base.pMethods = UnsafePointer(methods)
        return SQLITE_OK
    }

    @inline(__always)
    private static func handle(_ file: UnsafeMutablePointer<sqlite3_file>?) -> Handle {
        UnsafeMutableRawPointer(file!).assumingMemoryBound(to: FileLayout.self).pointee.handle!
            ._withUnsafeGuaranteedRef { $0 }
    }

    nonisolated(unsafe) private static let methods: UnsafeMutablePointer<sqlite3_io_methods> = {
        let methods = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        methods.initialize(to: sqlite3_io_methods())
        methods.pointee.iVersion = 2
        methods.pointee.xClose = { file in
            let layout = UnsafeMutableRawPointer(file!).assumingMemoryBound(to: FileLayout.self)
            let handle = layout.pointee.handle!.takeRetainedValue()
            if handle.isAlive { handle.file.locks.forget(handle.number) }
            layout.pointee.handle = nil
            layout.pointee.base.pMethods = nil
            return SQLITE_OK
        }
        methods.pointee.xRead = { file, buffer, count, offset in
            let handle = SimulatedVFS.handle(file)
            guard handle.isAlive else { return SQLITE_IOERR | (1 << 8) }
            let (offset, count) = (Int(offset), Int(count))
            let available = max(0, min(count, handle.file.bytes.count - offset))
            if available > 0 {
                _ = handle.file.bytes.withUnsafeBytes { memcpy(buffer!, $0.baseAddress! + offset, available) }
            }
            guard available < count else { return SQLITE_OK }
            memset(buffer! + available, 0, count - available)
            return SQLITE_IOERR | (2 << 8)
        }
        methods.pointee.xWrite = { file, buffer, count, offset in
            let handle = SimulatedVFS.handle(file)
            guard handle.isAlive else { return SQLITE_IOERR | (3 << 8) }
            let source = UnsafeRawBufferPointer(start: buffer, count: Int(count))
            return handle.disk.write(source, to: handle.file, at: Int(offset)) ? SQLITE_OK : SQLITE_FULL
        }
        methods.pointee.xTruncate = { file, count in
            let handle = SimulatedVFS.handle(file)
            guard handle.isAlive else { return SQLITE_IOERR | (6 << 8) }
            handle.disk.truncate(handle.file, to: Int(count))
            return SQLITE_OK
        }
        methods.pointee.xSync = { file, _ in
            let handle = SimulatedVFS.handle(file)
            guard handle.isAlive else { return SQLITE_IOERR | (4 << 8) }
            return handle.disk.sync(handle.file) ? SQLITE_OK : SQLITE_IOERR | (4 << 8)
        }
        methods.pointee.xFileSize = { file, size in
            size!.pointee = Int64(SimulatedVFS.handle(file).file.bytes.count)
            return SQLITE_OK
        }
        methods.pointee.xLock = { file, level in
            let handle = SimulatedVFS.handle(file)
            guard handle.isAlive else { return SQLITE_IOERR | (15 << 8) }
            return handle.file.locks.lock(handle.number, level) ? SQLITE_OK : SQLITE_BUSY
        }
        methods.pointee.xUnlock = { file, level in
            let handle = SimulatedVFS.handle(file)
            if handle.isAlive { handle.file.locks.unlock(handle.number, level) }
            return SQLITE_OK
        }
        methods.pointee.xCheckReservedLock = { file, result in
            result!.pointee = SimulatedVFS.handle(file).file.locks.isReserved ? 1 : 0
            return SQLITE_OK
        }
        methods.pointee.xFileControl = { file, operation, argument in
            guard operation == SQLITE_FCNTL_PERSIST_WAL else { return SQLITE_NOTFOUND }
            let handle = SimulatedVFS.handle(file)
            let flag = argument!.assumingMemoryBound(to: Int32.self)
            if flag.pointee < 0 {
                flag.pointee = handle.keepsWriteAheadLog
            } else {
                handle.keepsWriteAheadLog = flag.pointee
            }
            return SQLITE_OK
        }
        methods.pointee.xSectorSize = { _ in 4096 }
        // As the system's VFS says: bytes beside those that are written are left alone.
        methods.pointee.xDeviceCharacteristics = { _ in SQLITE_IOCAP_POWERSAFE_OVERWRITE }
        methods.pointee.xShmMap = { file, number, byteCount, isExtended, region in
            let handle = SimulatedVFS.handle(file)
            region!.pointee = nil
            guard handle.isAlive else { return SQLITE_IOERR | (21 << 8) }
            if handle.memory == nil {
                let memory = handle.file.shared ?? SimulatedSharedMemory()
                handle.file.shared = memory
                handle.memory = memory
            }
            region!.pointee = handle.memory!.region(
                Int(number), byteCount: Int(byteCount), isExtended: isExtended != 0)
            return SQLITE_OK
        }
        methods.pointee.xShmLock = { file, first, count, flags in
            let handle = SimulatedVFS.handle(file)
            guard handle.isAlive else { return SQLITE_IOERR | (20 << 8) }
            let slots = Int(first)..<Int(first + count)
            if flags & SQLITE_SHM_UNLOCK != 0 {
                handle.file.locks.unlockShared(handle.number, slots)
                return SQLITE_OK
            }
            let isExclusive = flags & SQLITE_SHM_EXCLUSIVE != 0
            return handle.file.locks.lockShared(handle.number, slots, isExclusive: isExclusive)
                ? SQLITE_OK : SQLITE_BUSY
        }
        methods.pointee.xShmBarrier = { _ in }
        methods.pointee.xShmUnmap = { file, isDeleted in
            let handle = SimulatedVFS.handle(file)
            if handle.isAlive {
                handle.file.locks.unlockShared(handle.number, 0..<8)
                if isDeleted != 0 { handle.file.shared = nil }
            }
            handle.memory = nil
            return SQLITE_OK
        }
        return methods
    }()
}
