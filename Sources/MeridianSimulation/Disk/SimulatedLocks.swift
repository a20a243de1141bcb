/// What SQLite's connections to one file need of each other, in one process: the file's lock, and the shared memory of
/// the write-ahead log with its eight locks (https://www.sqlite.org/walformat.html#locks). Connections are told apart
/// by the number of their handle.
struct SimulatedLocks {
    /// Lock levels by handle; `SQLITE_LOCK_NONE` (0) is left out.
    private var levels: [Int: Int32] = [:]
    private var shared = [Set<Int>](repeating: [], count: 8)
    private var exclusive = [Int?](repeating: nil, count: 8)

    /// Shared is 1, reserved 2, pending 3 and exclusive 4.
    mutating func lock(_ handle: Int, _ level: Int32) -> Bool {
        let others = levels.lazy.filter { $0.key != handle }.map(\.value)
        let isFree =
            switch level {
            case 1: !others.contains { $0 >= 3 }
            case 2: !others.contains { $0 >= 2 }
            default: others.isEmpty
            }
        guard isFree else { return false }
        levels[handle] = max(levels[handle] ?? 0, level)
        return true
    }

    mutating func unlock(_ handle: Int, _ level: Int32) {
        levels[handle] = level == 0 ? nil : min(levels[handle] ?? 0, level)
    }

    var isReserved: Bool { levels.values.contains { $0 >= 2 } }

    mutating func lockShared(_ handle: Int, _ slots: Range<Int>, isExclusive: Bool) -> Bool {
        for slot in slots {
            if let owner = exclusive[slot], owner != handle { return false }
            if isExclusive, shared[slot].contains(where: { $0 != handle }) { return false }
        }
        for slot in slots {
            if isExclusive { exclusive[slot] = handle } else { shared[slot].insert(handle) }
        }
        return true
    }

    mutating func unlockShared(_ handle: Int, _ slots: Range<Int>) {
        for slot in slots {
            shared[slot].remove(handle)
            if exclusive[slot] == handle { exclusive[slot] = nil }
        }
    }

    mutating func forget(_ handle: Int) {
        unlock(handle, 0)
        unlockShared(handle, 0..<8)
    }
}

/// The shared memory of a write-ahead log, in regions that stay where they are as long as anybody has them.
final class SimulatedSharedMemory {
    private var regions: [UnsafeMutableRawPointer] = []

    func region(_ number: Int, byteCount: Int, isExtended: Bool) -> UnsafeMutableRawPointer? {
        while regions.count <= number {
            guard isExtended else { return nil }
            let region = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 16)
            region.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
            regions.append(region)
        }
        return regions[number]
    }

    deinit { for region in regions { region.deallocate() } }
}
