/// The states that an exploration has met, each as a hash of 64 bits, the state that it was met from, and the choice
/// that led to it: 22 to 30 bytes a state, so ten million of them fit into 300 MB.
///
/// HAZARD: two states with one hash are taken for one. Of ten million states that befalls a pair with a probability of
/// about 3 in a million; what lies behind the second one is then not explored.
struct StateTable {
    private var hashes: [UInt64] = []
    private var parents: [UInt32] = []
    private var choices: [UInt16] = []
    /// Open addressing, at most half full: positions in the arrays plus one; 0 is free.
    private var slots: [UInt32]

    init() { slots = Array(repeating: 0, count: 1 << 16) }

    var count: Int { hashes.count }

    /// Notes a state.
    /// - Returns: its number, if it is new.
    mutating func insert(_ hash: UInt64, from parent: UInt32, by choice: Int) -> UInt32? {
        precondition(choice <= Int(UInt16.max), "\(choice) choices in one state")
        if 2 * (hashes.count + 1) > slots.count { grow() }
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] != 0 {
            if hashes[Int(slots[slot]) - 1] == hash { return nil }
            slot = (slot + 1) & (slots.count - 1)
        }
        precondition(hashes.count < Int(UInt32.max) - 1, "more states than can be numbered")
        hashes.append(hash)
        parents.append(parent)
        choices.append(UInt16(choice))
        slots[slot] = UInt32(hashes.count)
        return UInt32(hashes.count - 1)
    }

    /// The choices that lead from the first state to this one.
    func path(to state: UInt32) -> [Int] {
        var path: [Int] = []
        var state = state
        while state != 0 {
            path.append(Int(choices[Int(state)]))
            state = parents[Int(state)]
        }
        return path.reversed()
    }

    private mutating func grow() {
        slots = Array(repeating: 0, count: 2 * slots.count)
        for (position, hash) in hashes.enumerated() {
            var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = UInt32(position + 1)
        }
    }
}
