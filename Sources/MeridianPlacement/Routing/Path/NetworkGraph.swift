import MeridianCore

/// Networks and the links between them, as BGP sees them: autonomous systems, each large one split into its presences
/// on the continents.
///
/// A link between systems costs a hop of the AS path. A link inside of one costs no hop, but of paths with equally many
/// hops the one with fewer internal links is taken: a network hands traffic over as early as it can (hot potato). Of
/// what else decides in BGP nothing is here: no local preference, no valley-free policy (Gao and Rexford 2001). Those
/// lead paths farther astray than these are.
package struct NetworkGraph: Hashable, Sendable {
    package typealias Network = Int

    package struct Link: Hashable, Sendable {
        package var to: Network
        package var cost: Int
    }

    /// The cost of a hop, more than any path has internal links.
    package static let hopCost = 1000
    package static let internalCost = 1

    /// By network; each one's links by the number of the network at the other end.
    package private(set) var links: [[Link]]
    /// Links that are down, the lower number first.
    private var cuts: Set<[Network]> = []

    package init(networks: Int) {
        precondition(networks > 0, "\(networks) networks")
        links = Array(repeating: [], count: networks)
    }

    package var count: Int { links.count }

    package mutating func addNetwork() -> Network {
        links.append([])
        return links.count - 1
    }

    /// Links two networks, unless they are linked.
    package mutating func connect(_ one: Network, _ other: Network, isInternal: Bool = false) {
        precondition(one != other, "network \(one) linked to itself")
        guard !links[one].contains(where: { $0.to == other }) else { return }
        for (from, to) in [(one, other), (other, one)] {
            let position = links[from].firstIndex { $0.to > to } ?? links[from].endIndex
            links[from].insert(Link(to: to, cost: isInternal ? Self.internalCost : Self.hopCost), at: position)
        }
    }

    /// Cuts a link, or mends it.
    package mutating func set(_ one: Network, _ other: Network, isUp: Bool) {
        precondition(links[one].contains { $0.to == other }, "networks \(one) and \(other) have no link")
        let pair = [min(one, other), max(one, other)]
        if isUp { cuts.remove(pair) } else { cuts.insert(pair) }
    }

    package func isUp(_ one: Network, _ other: Network) -> Bool {
        cuts.isEmpty || !cuts.contains([min(one, other), max(one, other)])
    }

    /// Each network's cost of the best path to one of them; `nil` where there is none (Dijkstra 1959).
    package func costs(to origin: Network) -> [Int?] {
        distances(from: origin) { _, link in Int64(link.cost) }.map { $0.map { Int($0) } }
    }

    /// When news that starts at one network has reached each, if a link takes as long as `delay` says.
    package func distances(
        from origin: Network, over delay: (_ from: Network, _ link: Link) -> Int64
    ) -> [Int64?] {
        precondition(links.indices.contains(origin), "no network \(origin) among \(count)")
        var best: [Int64?] = Array(repeating: nil, count: count)
        var isDone = Array(repeating: false, count: count)
        best[origin] = 0
        while true {
            var nearest: (network: Network, distance: Int64)?
            for network in links.indices where !isDone[network] {
                guard let distance = best[network], distance < nearest?.distance ?? .max else { continue }
                nearest = (network, distance)
            }
            guard let nearest else { return best }
            isDone[nearest.network] = true
            for link in links[nearest.network] where !isDone[link.to] && isUp(nearest.network, link.to) {
                let distance = nearest.distance + delay(nearest.network, link)
                if distance < best[link.to] ?? .max { best[link.to] = distance }
            }
        }
    }
}
