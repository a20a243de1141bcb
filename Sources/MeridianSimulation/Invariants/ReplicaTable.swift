/// A value for each replica of each node, by the node's position and the replica's slot, which a replica keeps as long
/// as its process lives: `forget` it when the process ends.
///
/// Invariants look at every step. A table in memory of its own needs neither the hashes nor the checks for other owners
/// that dictionaries and arrays cost them.
final class ReplicaTable<Value> {
    private var values: UnsafeMutablePointer<Value?>
    private var nodeCount = 16
    private var slotCount = 16

    init() {
        values = .allocate(capacity: nodeCount * slotCount)
        values.initialize(repeating: nil, count: nodeCount * slotCount)
    }

    deinit {
        values.deinitialize(count: nodeCount * slotCount)
        values.deallocate()
    }

    subscript(node: Int, slot: Int) -> Value? {
        get {
            precondition(node >= 0 && slot >= 0, "no replica \(slot) of node \(node)")
            return node < nodeCount && slot < slotCount ? values[node * slotCount + slot] : nil
        }
        set {
            precondition(node >= 0 && slot >= 0, "no replica \(slot) of node \(node)")
            if node >= nodeCount || slot >= slotCount { grow(to: max(node + 1, nodeCount), max(slot + 1, slotCount)) }
            values[node * slotCount + slot] = newValue
        }
    }

    func forget(node: Int) {
        guard node < nodeCount else { return }
        for slot in 0..<slotCount { values[node * slotCount + slot] = nil }
    }

    private func grow(to nodes: Int, _ slots: Int) {
        let (nodes, slots) = (nodes > nodeCount ? nodes * 2 : nodes, slots > slotCount ? slots * 2 : slots)
        let larger = UnsafeMutablePointer<Value?>.allocate(capacity: nodes * slots)
        larger.initialize(repeating: nil, count: nodes * slots)
        for node in 0..<nodeCount {
            for slot in 0..<slotCount { larger[node * slots + slot] = values[node * slotCount + slot] }
        }
        values.deinitialize(count: nodeCount * slotCount)
        values.deallocate()
        (values, nodeCount, slotCount) = (larger, nodes, slots)
    }
}
