import MeridianCore

/// Which resolver each of many clients uses: the mistakes of location routing, at stated rates.
///
/// Clients of public resolvers were 8 % of Akamai's demand in 2014, their resolvers thousands of kilometres away at
/// times; with client subnets, their distance to the chosen servers fell eightfold (Chen, Sitaraman, Torres: End-User
/// Mapping, SIGCOMM 2015). They have become more since. Corporate resolvers and VPNs never send the subnet here: it
/// is theirs, not the client's.
package struct ResolverPopulation: Hashable, Sendable {
    /// Of all clients; the rest use their provider's.
    package var openShare: Double
    package var corporateShare: Double
    /// Of the clients of public resolvers, those whose questions come out at a point of presence that is not the
    /// nearest, by the public resolver's own anycast.
    package var strayShare: Double
    /// Whether public resolvers send the client's subnet.
    package var sendsClientSubnet: Bool

    package init(
        openShare: Double = 0.30, corporateShare: Double = 0.10, strayShare: Double = 0.20, sendsClientSubnet: Bool
    ) {
        for share in [openShare, corporateShare, strayShare, openShare + corporateShare] {
            precondition((0...1).contains(share), "a share of \(share)")
        }
        self.openShare = openShare
        self.corporateShare = corporateShare
        self.strayShare = strayShare
        self.sendsClientSubnet = sendsClientSubnet
    }

    /// Draws a client's resolver.
    /// - Parameters:
    ///   - presences: where the public resolver has points of presence.
    ///   - headquarters: where companies have theirs.
    /// - Returns: its kind, and where it stands: in which of the places, or at the client's own.
    package func draw(
        for client: Coordinates, presences: [Coordinates], headquarters: [Coordinates], using random: inout SplitMix64
    ) -> (kind: NameResolver.Kind, place: Int?) {
        precondition(!presences.isEmpty && !headquarters.isEmpty, "resolvers stand nowhere")
        let draw = random.share()
        if draw < openShare {
            let byDistance = presences.indices.sorted {
                (client.kilometres(to: presences[$0]), $0) < (client.kilometres(to: presences[$1]), $1)
            }
            guard random.share() < strayShare, presences.count > 1 else { return (.open, byDistance[0]) }
            return (.open, byDistance[1 + Int(random.below(UInt64(byDistance.count - 1)))])
        }
        guard draw < openShare + corporateShare else { return (.local, nil) }
        return (.corporate, Int(random.below(UInt64(headquarters.count))))
    }

    /// The resolver of that kind at that place.
    package func resolver(_ kind: NameResolver.Kind, at place: Coordinates) -> NameResolver {
        NameResolver(
            kind: kind, coordinates: place, sendsClientSubnet: sendsClientSubnet && kind == .open)
    }
}

extension SplitMix64 {
    /// A number in `0..<1`.
    package mutating func share() -> Double { Double(next() >> 11) / Double(1 << 53) }
}
