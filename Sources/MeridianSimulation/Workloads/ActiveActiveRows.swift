/// The key of a row of either table.
struct RowName: Hashable, Comparable, Sendable, CustomStringConvertible {
    var part: Int
    var id: Int

    init(part: Int, id: Int) {
        self.part = part
        self.id = id
    }

    /// From a conflict's key.
    init(_ parts: [String]) {
        self.init(part: parts.first.flatMap { Int($0) } ?? -1, id: parts.last.flatMap { Int($0) } ?? -1)
    }

    static func < (lhs: RowName, rhs: RowName) -> Bool { (lhs.part, lhs.id) < (rhs.part, rhs.id) }
    var description: String { "(\(part), \(id))" }
}

protocol NamedRow: Codable, Sendable, Equatable {
    var part: Int { get }
    var id: Int { get }
}

struct MixedRow: NamedRow {
    var part: Int
    var id: Int
    var visits: Int
    var total: Int
    var text: String
    var note: String
    /// Witnesses, and tags, which are negative.
    var items: Set<Int>

    init(_ key: RowName, witness: Int, visits: Int, total: Int) {
        (part, id) = (key.part, key.id)
        (self.visits, self.total) = (visits, total)
        (text, note) = ("t\(witness)", "n\(witness)")
        items = [witness]
    }
}

struct WholeRow: NamedRow {
    var part: Int
    var id: Int
    var text: String
}
