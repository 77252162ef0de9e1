import LanguageModels
import Training

extension TaskData {
  /// Takes the order of a checkpoint's labels where they are the data's own in another order.
  ///
  /// So the checkpoint's classifier keeps its meaning. What the user or a preset says counts more.
  mutating func settleLabels(by classifier: StoredClassifier?, unlessChosen configuration: RunConfiguration) {
    guard let classifier, configuration.labels.isEmpty, configuration.preset == nil, let labels = task?.labels,
      labels.count == classifier.labels.count, Set(labels) == Set(classifier.labels)
    else { return }
    task?.labels = classifier.labels
  }
}
