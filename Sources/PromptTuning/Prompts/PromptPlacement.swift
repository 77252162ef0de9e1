/// Where the virtual tokens of one example stand.
public struct PromptPlacement: Sendable, Hashable {
  /// Virtual tokens in front of the text, in order, counted from 0.
  public var front: [Int]
  /// Virtual tokens behind the text, before its closing, in order.
  public var back: [Int]

  public init(front: [Int], back: [Int]) {
    self.front = front
    self.back = back
  }

  /// The first `kept` of `count` virtual tokens, `behind` of them behind the text.
  public init(count: Int, behind: Int, kept: Int? = nil, order: PromptOptions.Order) {
    let kept = kept ?? count
    let behind = min(behind, kept)
    switch order {
    case .paper: self.init(front: Array(0..<kept - behind), back: Array(kept - behind..<kept))
    case .cyclic: self.init(front: Array(behind..<kept), back: Array(0..<behind))
    }
  }

  /// A text with its virtual tokens: what stands at each place.
  ///
  /// - Parameters:
  ///   - virtual: what stands for a virtual token.
  ///   - closing: how many tokens at the end of the text stay at the end.
  func arrange<Element>(_ text: [Element], closing: Int, virtual: (Int) -> Element) -> [Element] {
    let end = text.count - closing
    return front.map(virtual) + text[..<end] + back.map(virtual) + text[end...]
  }

  /// The place of each token of a text among what `arrange` gives.
  func place(ofToken token: Int, in count: Int, closing: Int) -> Int {
    front.count + token + (token >= count - closing ? back.count : 0)
  }
}
