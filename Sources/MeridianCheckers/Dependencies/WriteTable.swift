/// Who wrote which value to which key: a flat table with open addressing, because a million transactions write millions
/// of values and each is looked up several times. Entries are numbered in the order of their writes.
struct WriteTable {
    struct Entry {
        let key: Int32
        let value: Int
        let operation: Int32
        /// Whether it is the operation's last write to the key.
        let isFinal: Bool
        /// Number of the operation's write to the key before this one, -1 if it is the first.
        let previous: Int32
    }

    private(set) var entries: [Entry] = []
    /// Entry numbers + 1; 0 is empty.
    private var slots: [Int32] = [Int32](repeating: 0, count: 1024)

    /// - Returns: the entry that already wrote this value to this key, if there is one.
    mutating func insert(_ entry: Entry) -> Entry? {
        if entries.count * 2 >= slots.count { grow() }
        var slot = Self.hash(entry.key, entry.value) & (slots.count - 1)
        while slots[slot] != 0 {
            let found = entries[Int(slots[slot]) - 1]
            if found.key == entry.key, found.value == entry.value { return found }
            slot = (slot + 1) & (slots.count - 1)
        }
        entries.append(entry)
        slots[slot] = Int32(entries.count)
        return nil
    }

    /// Number of the entry, or nil if nobody wrote the value.
    func find(_ key: Int32, _ value: Int) -> Int? {
        var slot = Self.hash(key, value) & (slots.count - 1)
        while slots[slot] != 0 {
            let number = Int(slots[slot]) - 1
            if entries[number].key == key, entries[number].value == value { return number }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    private mutating func grow() {
        slots = [Int32](repeating: 0, count: slots.count * 2)
        for (number, entry) in entries.enumerated() {
            var slot = Self.hash(entry.key, entry.value) & (slots.count - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = Int32(number + 1)
        }
    }

    /// The finaliser of MurmurHash3 over both.
    private static func hash(_ key: Int32, _ value: Int) -> Int {
        var mixed = UInt64(bitPattern: Int64(value)) ^ UInt64(UInt32(bitPattern: key)) &* 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 33)) &* 0xFF51_AFD7_ED55_8CCD
        mixed = (mixed ^ (mixed >> 33)) &* 0xC4CE_B9FE_1A85_EC53
        return Int(truncatingIfNeeded: mixed ^ (mixed >> 33)) & Int.max
    }

    /// All writes of a history, those of failed operations too: reading one is an anomaly.
    ///
    /// - Throws: `.valueWrittenTwice`.
    init(_ history: History) throws(CheckerError) {
        for operation in history.operations {
            for place in operation.steps {
                let step = history.steps[place]
                guard step.action == .append || step.action == .write else { continue }
                func isSame(_ other: Step) -> Bool { other.action == step.action && other.key == step.key }
                let isFinal = !history.steps[(place + 1)..<operation.steps.upperBound].contains(where: isSame)
                let previous = history.steps[operation.firstStep..<place].last(where: isSame).flatMap {
                    find($0.key, $0.value)
                }
                let entry = Entry(
                    key: step.key, value: step.value, operation: Int32(operation.id), isFinal: isFinal,
                    previous: Int32(previous ?? -1))
                if let first = insert(entry) {
                    throw .valueWrittenTwice(
                        key: history.key(step.key), value: step.value,
                        first: history.operations[Int(first.operation)].index, second: operation.index)
                }
            }
        }
    }
}
