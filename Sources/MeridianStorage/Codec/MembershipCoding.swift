import MeridianCore

/// A membership as bytes: a count (16 bits) and the members, for `members` and then for `outgoing`.
/// A member: node (32 bits), role (8), length of the region's name (16), the name in UTF-8.
enum MembershipCoding {
    static func encode(_ membership: Membership, to writer: inout ByteWriter) {
        encode(membership.members, to: &writer)
        encode(membership.outgoing, to: &writer)
    }

    static func decode(_ reader: inout ByteReader) throws(ByteReader.Malformed) -> Membership {
        let members = try decodeMembers(&reader)
        let outgoing = try decodeMembers(&reader)
        // What `Membership` would trap on is, in bytes from a disk, an error.
        guard outgoing.allSatisfy({ $0.role != .learner }) else { throw ByteReader.Malformed() }
        return Membership(members: members, outgoing: outgoing)
    }

    private static func encode(_ members: [Member], to writer: inout ByteWriter) {
        precondition(members.count <= Int(UInt16.max), "\(members.count) members")
        writer.put(UInt16(members.count))
        for member in members {
            writer.put(member.node.rawValue)
            writer.put(member.role.rawValue)
            var name = member.region.rawValue
            name.withUTF8 { utf8 in
                precondition(utf8.count <= Int(UInt16.max), "a region's name of \(utf8.count) bytes")
                writer.put(UInt16(utf8.count))
                writer.put(UnsafeRawBufferPointer(utf8))
            }
        }
    }

    private static func decodeMembers(_ reader: inout ByteReader) throws(ByteReader.Malformed) -> [Member] {
        var members: [Member] = []
        for _ in 0..<(try reader.uint16()) {
            let node = NodeID(try reader.uint32())
            guard let role = ReplicaRole(rawValue: try reader.byte()) else { throw ByteReader.Malformed() }
            let count = Int(try reader.uint16())
            guard let name = String(validating: try reader.slice(count), as: UTF8.self) else {
                throw ByteReader.Malformed()
            }
            if let last = members.last, last.node >= node { throw ByteReader.Malformed() }
            members.append(Member(node: node, region: Region(name), role: role))
        }
        return members
    }
}
