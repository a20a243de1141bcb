import MeridianCore

/// An internet in small, drawn from a seed: few networks that span the earth, some that span a continent, and those of
/// the countries, in which the clients are.
extension NetworkGraph {
    /// A drawn internet, and where to find things in it.
    package struct Internet: Sendable {
        package var graph: NetworkGraph
        /// The network of each country's clients.
        package var access: [String: Network]
        package var regions: [Region: Network]
    }

    private static let backbones = 8
    private static let transitsPerContinent = 4

    /// - Parameters:
    ///   - countries: each with its continent.
    ///   - regions: each with its continent.
    package static func internet(
        countries: [(name: String, continent: String)], regions: [(region: Region, continent: String)],
        using random: inout SplitMix64
    ) -> Internet {
        precondition(!countries.isEmpty && !regions.isEmpty, "an internet of nobody")
        let continents = Set(countries.map(\.continent) + regions.map(\.continent)).sorted()
        var graph = NetworkGraph(networks: 1)
        // Each backbone has a presence on each continent, linked among themselves inside; on each continent all
        // backbones peer.
        var backbones: [String: [Network]] = [:]
        for number in 0..<Self.backbones {
            var presences: [Network] = []
            for (position, continent) in continents.enumerated() {
                let network = number == 0 && position == 0 ? 0 : graph.addNetwork()
                for other in presences { graph.connect(network, other, isInternal: true) }
                presences.append(network)
                for other in backbones[continent] ?? [] { graph.connect(network, other) }
                backbones[continent, default: []].append(network)
            }
        }
        var transits: [String: [Network]] = [:]
        for continent in continents {
            for _ in 0..<Self.transitsPerContinent {
                let transit = graph.addNetwork()
                for backbone in random.pick(2, from: backbones[continent] ?? []) { graph.connect(transit, backbone) }
                for other in random.pick(1, from: transits[continent] ?? []) { graph.connect(transit, other) }
                transits[continent, default: []].append(transit)
            }
        }
        /// A network that buys transit on its continent, and now and then from a backbone itself.
        func attach(_ links: Int, _ backboneLinks: Int, on continent: String) -> Network {
            let network = graph.addNetwork()
            for transit in random.pick(links, from: transits[continent] ?? []) { graph.connect(network, transit) }
            for backbone in random.pick(backboneLinks, from: backbones[continent] ?? []) {
                graph.connect(network, backbone)
            }
            return network
        }
        var access: [String: Network] = [:]
        for country in countries {
            let links = 1 + Int(random.below(2))
            access[country.name] = attach(links, Int(random.below(4)) == 0 ? 1 : 0, on: country.continent)
        }
        var sites: [Region: Network] = [:]
        for region in regions { sites[region.region] = attach(2, 2, on: region.continent) }
        return Internet(graph: graph, access: access, regions: sites)
    }
}

extension SplitMix64 {
    /// So many of the elements, or all if there are fewer, without repetition, in the order drawn.
    mutating func pick<Element>(_ count: Int, from elements: [Element]) -> [Element] {
        var left = elements
        return (0..<min(count, elements.count)).map { _ in left.remove(at: Int(below(UInt64(left.count)))) }
    }
}
