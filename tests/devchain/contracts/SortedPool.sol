// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// A linked list of orchestrators, highest stake first. Hints of where a stake belongs save the search for its place;
/// wrong ones cost only gas.
library SortedPool {
    struct Node {
        address previous;
        address next;
        uint256 stake; // 0: not in the list
    }

    struct List {
        mapping(address => Node) nodes; // nodes[address(0)]: next is the head, previous the tail
        uint256 size;
        uint256 maxSize;
    }

    function contains(List storage list, address addr) internal view returns (bool) {
        return addr != address(0) && list.nodes[addr].stake > 0;
    }

    function first(List storage list) internal view returns (address) {
        return list.nodes[address(0)].next;
    }

    function last(List storage list) internal view returns (address) {
        return list.nodes[address(0)].previous;
    }

    function after_(List storage list, address addr) internal view returns (address) {
        return addr == address(0) ? address(0) : list.nodes[addr].next;
    }

    function insert(List storage list, address addr, uint256 stake, address prev, address next) internal {
        if (!fits(list, stake, prev, next)) (prev, next) = place(list, stake, prev, next);
        list.nodes[addr] = Node(prev, next, stake);
        list.nodes[prev].next = addr;
        list.nodes[next].previous = addr;
        list.size += 1;
    }

    function remove(List storage list, address addr) internal {
        Node memory node = list.nodes[addr];
        list.nodes[node.previous].next = node.next;
        list.nodes[node.next].previous = node.previous;
        delete list.nodes[addr];
        list.size -= 1;
    }

    function update(List storage list, address addr, uint256 stake, address prev, address next) internal {
        remove(list, addr);
        if (stake > 0) insert(list, addr, stake, prev, next);
    }

    function fits(List storage list, uint256 stake, address prev, address next) private view returns (bool) {
        if (prev == address(0) && next == address(0)) return list.size == 0;
        if (prev != address(0) && list.nodes[prev].stake < stake) return false;
        if (next != address(0) && list.nodes[next].stake > stake) return false;
        return list.nodes[prev].next == next && list.nodes[next].previous == prev;
    }

    /// Walks from whichever hinted neighbour may still be one, else from the head. Among equals the newcomer stands at
    /// the end that the walk begins from, since the protocol looks beyond the ends first.
    function place(List storage list, uint256 stake, address prev, address next)
        private
        view
        returns (address, address)
    {
        if (contains(list, prev) && list.nodes[prev].stake >= stake) {
            bool beforeHead = prev == first(list) && list.nodes[prev].stake == stake;
            return down(list, stake, beforeHead ? address(0) : prev);
        }
        if (contains(list, next) && list.nodes[next].stake <= stake) {
            bool afterTail = next == last(list) && list.nodes[next].stake == stake;
            return up(list, stake, afterTail ? address(0) : next);
        }
        return down(list, stake, address(0));
    }

    function down(List storage list, uint256 stake, address prev) private view returns (address, address next) {
        next = list.nodes[prev].next;
        while (next != address(0) && list.nodes[next].stake > stake) {
            prev = next;
            next = list.nodes[next].next;
        }
        return (prev, next);
    }

    function up(List storage list, uint256 stake, address next) private view returns (address prev, address) {
        prev = list.nodes[next].previous;
        while (prev != address(0) && list.nodes[prev].stake < stake) {
            next = prev;
            prev = list.nodes[prev].previous;
        }
        return (prev, next);
    }
}
