/** What streamagg means by its promises, as plain Java: nothing here knows of Flink or Kafka. */
package io.streamagg.core;
