import MeridianCore

/// Which of several equal choices a range takes, so that ranges spread evenly over zones and nodes.
///
/// It must be a function of the range id alone, because every node plans alike. Ids come in regular steps (a table
/// over three regions takes every third one for each region), where a remainder would pile everything on one node
/// and a hash would spread unevenly. The R₂ sequence (Roberts 2018) fills the unit square evenly for such steps: one
/// axis picks the zone, the other the node in it.
struct LoadSpread {
    private let zonePoint: UInt64
    private let nodePoint: UInt64

    /// 2⁶⁴ / p and 2⁶⁴ / p², where p³ = p + 1.
    private static let zoneStep: UInt64 = 0xC13F_A9A9_02A6_328F
    private static let nodeStep: UInt64 = 0x91E1_0DA5_C79E_7B1D

    init(_ range: RangeID) {
        self.zonePoint = range.rawValue &* Self.zoneStep
        self.nodePoint = range.rawValue &* Self.nodeStep
    }

    /// The nodes in the order in which the range wants them: one of each zone, then a second of each, and so on, so
    /// that any first few of them stand in as many zones as possible.
    func order(_ nodes: [NodeDescriptor]) -> [NodeDescriptor] {
        var zones: [Zone] = []
        for node in nodes where !zones.contains(node.zone) { zones.append(node.zone) }
        let groups = Self.rotated(zones, by: zonePoint).map { zone in
            Self.rotated(nodes.filter { $0.zone == zone }, by: nodePoint)
        }
        let rounds = groups.map(\.count).max() ?? 0
        return (0..<rounds).flatMap { round in groups.filter { round < $0.count }.map { $0[round] } }
    }

    private static func rotated<Element>(_ elements: [Element], by point: UInt64) -> [Element] {
        guard elements.count > 1 else { return elements }
        let start = Int(point.multipliedFullWidth(by: UInt64(elements.count)).high)
        return Array(elements[start...] + elements[..<start])
    }
}
