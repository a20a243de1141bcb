import MeridianCore
import MeridianStorage

/// The files of one node on a disk that can fail: what is durable, what only the cache holds, and what a power cut
/// makes of the difference. SQLite reaches it through `SimulatedVFS`, the stores' other needs through `FileSystem`.
///
/// - **Power cut.** Of what was written since a file's last sync each sector of 512 bytes survives or not, as the seed
///   says, where writes may be torn; otherwise all of it is lost. A new file's name is durable with its first sync.
/// - **Full.** Every write is refused.
/// - **Failed sync.** The call fails and what it was to write is marked clean, as Linux does it (Rebello et al.,
///   "Can Applications Recover from fsync Failures?", ATC 2020): a second sync succeeds and writes nothing of it.
/// - **Lying sync.** The call succeeds and writes nothing; a later honest one writes everything.
/// - **Bit rot, truncation, misdirected writes** change what is durable while no process runs.
///
/// Handles belong to an epoch, and a power cut ends it: what a dead process's connections still do, changes nothing.
/// One thread at a time uses a disk.
final class SimulatedDisk: @unchecked Sendable {
    static let sectorByteCount = 512
    private static let pageByteCount = 4096

    final class File {
        /// What processes see.
        var bytes: [UInt8] = []
        /// What a power cut leaves.
        var durable: [UInt8] = []
        /// What was written since the last sync, in bytes.
        var dirty: [Range<Int>] = []
        var isNameDurable = false
        /// A sync has lied about some of `dirty`.
        var wasLiedAbout = false
        var locks = SimulatedLocks()
        var shared: SimulatedSharedMemory?
        let kind: FileKind

        init(kind: FileKind) { self.kind = kind }

        init(copying file: File) {
            kind = file.kind
            bytes = file.bytes
            durable = file.durable
            dirty = file.dirty
            isNameDurable = file.isNameDurable
            wasLiedAbout = file.wasLiedAbout
        }
    }

    private(set) var files: [String: File] = [:]
    /// Which power cycle this is.
    private(set) var epoch = 0
    private var random: SplitMix64
    var trouble = DiskTrouble()
    /// Whether sectors survive a power cut one by one.
    var tearsWrites = true
    private(set) var operationCount = 0
    /// Called before each write and sync, with its number from 1 on.
    var onOperation: ((Int) -> Void)?

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    /// The disk as it would be found if the power failed now.
    func afterPowerCut(seed: UInt64) -> SimulatedDisk {
        let copy = SimulatedDisk(seed: seed)
        copy.tearsWrites = tearsWrites
        for (name, file) in files { copy.files[name] = File(copying: file) }
        _ = copy.cutPower()
        return copy
    }

    // MARK: For SQLite

    func file(_ name: String, isCreated: Bool) -> File? {
        if let file = files[name] { return file }
        guard isCreated else { return nil }
        let file = File(kind: name.hasPrefix("log") ? .log : .state)
        files[name] = file
        return file
    }

    func remove(_ name: String) { files[name] = nil }

    private func count() {
        operationCount += 1
        onOperation?(operationCount)
    }

    /// - Returns: whether there was space.
    func write(_ source: UnsafeRawBufferPointer, to file: File, at offset: Int) -> Bool {
        count()
        if trouble.isFull { return false }
        let end = offset + source.count
        if file.bytes.count < end { file.bytes.append(contentsOf: repeatElement(0, count: end - file.bytes.count)) }
        file.bytes.withUnsafeMutableBytes { target in
            UnsafeMutableRawBufferPointer(rebasing: target[offset..<end]).copyMemory(from: source)
        }
        if let last = file.dirty.last, last.upperBound == offset {
            file.dirty[file.dirty.count - 1] = last.lowerBound..<end
        } else {
            file.dirty.append(offset..<end)
        }
        return true
    }

    func truncate(_ file: File, to count: Int) {
        self.count()
        guard count < file.bytes.count else { return }
        file.bytes.removeLast(file.bytes.count - count)
        file.dirty.removeAll { $0.upperBound > count }
        // A cut is taken for durable at once.
        if file.durable.count > count { file.durable.removeLast(file.durable.count - count) }
    }

    /// - Returns: whether it succeeds, or says so.
    func sync(_ file: File) -> Bool {
        count()
        if trouble.failsNextSync, file.kind == .log {
            trouble.failsNextSync = false
            file.dirty = []
            return false
        }
        if trouble.liesAboutSyncs {
            if !file.dirty.isEmpty { file.wasLiedAbout = true }
            return true
        }
        for range in file.dirty { Self.copy(range, from: file.bytes, to: &file.durable) }
        file.dirty.removeAll(keepingCapacity: true)
        file.isNameDurable = true
        file.wasLiedAbout = false
        return true
    }

    private static func copy(_ range: Range<Int>, from source: [UInt8], to target: inout [UInt8]) {
        let range = range.clamped(to: 0..<source.count)
        if target.count < range.upperBound {
            target.append(contentsOf: repeatElement(0, count: range.upperBound - target.count))
        }
        source.withUnsafeBytes { from in
            target.withUnsafeMutableBytes { to in
                UnsafeMutableRawBufferPointer(rebasing: to[range]).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: from[range]))
            }
        }
    }

    // MARK: Faults

    /// The power fails, and comes back.
    /// - Returns: whether something is gone that a sync had promised.
    func cutPower() -> Bool {
        epoch += 1
        var isPromiseBroken = false
        for name in files.keys.sorted() {
            let file = files[name]!
            guard file.isNameDurable || (tearsWrites && random.below(2) == 0) else {
                isPromiseBroken = isPromiseBroken || file.wasLiedAbout
                files[name] = nil
                continue
            }
            if tearsWrites {
                for range in file.dirty { tear(range, of: file) }
            }
            isPromiseBroken = isPromiseBroken || file.wasLiedAbout
            file.wasLiedAbout = false
            file.dirty = []
            file.bytes = file.durable
            file.isNameDurable = true
            file.locks = SimulatedLocks()
            file.shared = nil
        }
        return isPromiseBroken
    }

    private func tear(_ range: Range<Int>, of file: File) {
        var start = range.lowerBound
        while start < range.upperBound {
            let end = min((start / Self.sectorByteCount + 1) * Self.sectorByteCount, range.upperBound)
            if random.below(2) == 0 { Self.copy(start..<end, from: file.bytes, to: &file.durable) }
            start = end
        }
    }

    /// A process has ended in good order; its handles are closed.
    func processEnded() { epoch += 1 }

    func wipe() {
        epoch += 1
        files = [:]
    }

    /// Damages what is durable in one of a store's files.
    func damage(_ damage: DiskDamage, in kind: FileKind) {
        let names = files.keys.sorted().filter { files[$0]!.kind == kind && files[$0]!.durable.count > 0 }
        guard !names.isEmpty else { return }
        let file = files[names[Int(random.below(UInt64(names.count)))]]!
        let count = file.durable.count
        switch damage {
        case .bitRot:
            let place = Int(random.below(UInt64(count)))
            file.durable[place] ^= 1 << UInt8(random.below(8))
        case .truncation:
            file.durable.removeLast(1 + Int(random.below(UInt64(count))))
        case .misdirectedWrite:
            let pages = max(1, count / Self.pageByteCount)
            let from = Int(random.below(UInt64(pages))) * Self.pageByteCount
            let to = Int(random.below(UInt64(pages))) * Self.pageByteCount
            let page = Array(file.durable[from..<min(from + Self.pageByteCount, count)])
            let end = min(to + page.count, count)
            file.durable.replaceSubrange(to..<end, with: page.prefix(end - to))
        }
        file.bytes = file.durable
    }

    func holds(_ needle: [UInt8]) -> Bool {
        files.values.contains { $0.bytes.holds(needle) || $0.durable.holds(needle) }
    }
}

extension SimulatedDisk: FileSystem {
    private final class Hold: Sendable {}

    func lock(_ directory: String) throws -> any AnyObject & Sendable {
        // A process that died holds nothing, and one node has one process at a time: `Engine.start`.
        Hold()
    }

    func hasFile(_ path: String) -> Bool { !(files[Self.name(path)]?.bytes.isEmpty ?? true) }
    func contents(of path: String) throws -> [UInt8]? { files[Self.name(path)]?.bytes }

    func sync(directory: String) throws {
        guard !trouble.liesAboutSyncs else { return }
        for file in files.values { file.isNameDurable = true }
    }

    func replace(_ name: String, in directory: String, with text: String) throws {
        if trouble.isFull { throw MeridianError(.diskFull, "no space for \(name)") }
        let file = File(kind: .state)
        file.bytes = Array(text.utf8)
        file.durable = file.bytes
        file.isNameDurable = true
        files[name] = file
    }

    static func name(_ path: String) -> String { String(path[path.index(after: path.lastIndex(of: "/")!)...]) }
}
